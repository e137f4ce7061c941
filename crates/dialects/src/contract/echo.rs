//! What is kept of a command for its reply while the command itself is being carried out. Holds ids,
//! never a file or a text.

use std::sync::Arc;

use serde_json::Value;
use waypost_domain::command::Recipient;
use waypost_domain::{CustomerId, OrgId, Phone, UserId};

use super::{Command, Operation, Task};

impl Command {
    /// What replies repeat of it. Take it before the command is handed on: the command may hold a
    /// file of 100 MB, the echo holds ids only.
    #[must_use]
    pub fn echo(&self) -> CommandEcho {
        match self {
            Self::SendMessage(send) => CommandEcho {
                user_id: send.user_id.clone(),
                customer_id: match &send.recipient {
                    Recipient::Customer(id) => Some(id.clone()),
                    Recipient::Phone(_) | Recipient::Nobody => None,
                },
                session_id: send.session_id.clone(),
                reference: send.reference.clone(),
                ..CommandEcho::new(Operation::SendMessage, &send.org_id)
            },
            Self::Broadcast(broadcast) => CommandEcho {
                user_id: broadcast.user_id.clone(),
                session_id: broadcast.session_id.clone(),
                template: Some(broadcast.template.name.clone()),
                ..CommandEcho::new(Operation::Broadcast, &broadcast.org_id)
            },
            Self::UploadMedia(upload) => CommandEcho::new(Operation::UploadMedia, &upload.org_id),
            Self::Submit(submit) => CommandEcho {
                submissions: submit
                    .messages
                    .iter()
                    .map(|message| message.send.options.echo.clone())
                    .collect(),
                ..CommandEcho::new(Operation::Submit, &submit.org_id)
            },
            Self::Manage(manage) => CommandEcho {
                page_size: match manage.task {
                    Task::ListMessages { size, .. } => Some(size),
                    _ => None,
                },
                consent: ConsentEcho::of(&manage.task),
                ..CommandEcho::new(Operation::Manage, &manage.org_id)
            },
        }
    }
}

/// What replies repeat of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandEcho {
    /// What was asked.
    pub operation: Operation,
    /// The organisation as the caller wrote it.
    pub org_id: OrgId,
    /// The user as the caller wrote it.
    pub user_id: Option<UserId>,
    /// The customer as the caller wrote it.
    pub customer_id: Option<CustomerId>,
    /// The caller's word for the conversation.
    pub session_id: Option<String>,
    /// The caller's own value.
    pub reference: Option<String>,
    /// A broadcast's template.
    pub template: Option<String>,
    /// Of a [`Command::Submit`]: what the dialect keeps with each message.
    pub submissions: Vec<Option<Arc<Value>>>,
    /// How many entries the asked-for page of a list has.
    pub page_size: Option<u32>,
    /// Of a [`Task`] about consents.
    pub consent: Option<ConsentEcho>,
}

/// What replies repeat of a [`Task`] about consents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsentEcho {
    /// Of [`Task::FindConsent`]: of whom.
    Find(Phone),
    /// Of [`Task::RecordConsent`]: whether the first of them says yes.
    Record(bool),
}

impl ConsentEcho {
    fn of(task: &Task) -> Option<Self> {
        match task {
            Task::FindConsent { phone } => Some(Self::Find(phone.clone())),
            Task::RecordConsent { entries } => {
                entries.first().map(|entry| Self::Record(entry.opted_in))
            }
            _ => None,
        }
    }
}

impl CommandEcho {
    fn new(operation: Operation, org_id: &OrgId) -> Self {
        Self {
            operation,
            org_id: org_id.clone(),
            user_id: None,
            customer_id: None,
            session_id: None,
            reference: None,
            template: None,
            submissions: Vec::new(),
            page_size: None,
            consent: None,
        }
    }
}

//! Whether a request may go ahead: rights, the people and things it names, consent and window.
//! Looks only; what is refused here leaves nothing behind.

use std::sync::Arc;

use waypost_domain::command::{Caller, MediaDraft, Recipient as Addressee, SendMessage};
use waypost_domain::content::TemplateMessage;
use waypost_domain::directory::{Number, Org};
use waypost_domain::template::{self, Template};
use waypost_domain::window::{Window, WindowPolicy};
use waypost_domain::{Content, ErrorKind, Failure, OrgId, Timestamp, UserId};

use crate::Engine;
use crate::ports::Recipient;

/// For whom a request acts.
pub(crate) struct Acting {
    pub(crate) org: Arc<Org>,
    pub(crate) number: Arc<Number>,
}

impl Engine {
    /// Rights: the organisation is this caller's, the user is in it, it has the number.
    pub(crate) fn acting(
        &self,
        caller: &Caller,
        org_id: &OrgId,
        user_id: Option<&UserId>,
        number: Option<&str>,
    ) -> Result<Acting, Failure> {
        let org = self.org_of(caller, org_id)?;
        if let Some(user_id) = user_id
            && self.directory().user(org_id, user_id).is_none()
        {
            let message = format!("User {user_id} is not in the organisation.");
            return Err(Failure::new(ErrorKind::UserForbidden, message));
        }
        let number = self.directory().sender(org_id, number)?;
        Ok(Acting { org, number })
    }

    /// The organisation, if it is this caller's. Unknown and foreign are one answer.
    pub(crate) fn org_of(&self, caller: &Caller, org_id: &OrgId) -> Result<Arc<Org>, Failure> {
        let allowed = caller.may_act_for(org_id);
        self.directory().org(org_id).filter(|_| allowed).ok_or_else(|| {
            let message = format!("Organisation {org_id} does not exist or is not this key's.");
            Failure::new(ErrorKind::OrgForbidden, message)
        })
    }

    /// The person that a message is for.
    pub(crate) async fn addressee(
        &self,
        acting: &Acting,
        command: &SendMessage,
    ) -> Result<Recipient, Failure> {
        let (org_id, number_id) = (&acting.org.id, &acting.number.id);
        match &command.recipient {
            Addressee::Phone(phone) => {
                Ok(self.store().recipient_by_phone(org_id, phone, number_id).await?)
            }
            Addressee::Customer(id) => {
                let found = self.store().recipient_by_id(org_id, id, number_id).await?;
                let active = |recipient: &Recipient| {
                    recipient.customer.as_ref().is_some_and(|customer| customer.active)
                };
                found.filter(active).ok_or_else(|| {
                    let message = format!("The organisation has no active customer {id}.");
                    Failure::new(ErrorKind::CustomerNotFound, message)
                })
            }
        }
    }

    /// What the content names exists and fits. Fills in a template's language.
    pub(crate) async fn check_content(
        &self,
        acting: &Acting,
        content: &mut Content<MediaDraft>,
    ) -> Result<(), Failure> {
        if let Content::Template(message) = content {
            self.check_template(acting, message).await?;
        }
        for draft in content.media() {
            self.media_library().check(&acting.org.id, draft).await?;
        }
        Ok(())
    }

    pub(crate) async fn check_template(
        &self,
        acting: &Acting,
        message: &mut TemplateMessage<MediaDraft>,
    ) -> Result<Template, Failure> {
        let candidates = self.templates_named(&acting.number, &message.name).await?;
        let template = match &message.language {
            None => {
                let default = acting.org.default_language.as_deref();
                template::choose(&message.name, &candidates, default)?
            }
            Some(language) => {
                let named: Vec<Template> = candidates
                    .iter()
                    .filter(|template| template.language == *language)
                    .cloned()
                    .collect();
                let chosen = template::choose(&message.name, &named, None)?.language.clone();
                candidates.iter().find(|template| template.language == chosen).ok_or_else(|| {
                    Failure::new(ErrorKind::TemplateNotFound, "The template has gone.")
                })?
            }
        };
        template.check(message)?;
        message.language = Some(template.language.clone());
        Ok(template.clone())
    }

    /// A recorded opt-out blocks sends; with strict opt-in, so does the lack of a yes.
    pub(crate) fn check_consent(&self, org: &Org, recipient: &Recipient) -> Result<(), Failure> {
        let customer = recipient.customer.as_ref();
        let opted_out = customer.is_some_and(|customer| customer.opted_out());
        let opted_in = customer
            .and_then(|customer| customer.consent.as_ref())
            .is_some_and(|consent| consent.opted_in);
        if opted_out {
            let message = "The customer has opted out of messages.";
            return Err(Failure::new(ErrorKind::RecipientBlocked, message));
        }
        if org.strict_opt_in && !opted_in {
            let message = "The customer has not opted in, and the organisation requires it.";
            return Err(Failure::new(ErrorKind::RecipientBlocked, message));
        }
        Ok(())
    }

    /// Free-form messages need an open window.
    pub(crate) fn check_window(
        &self,
        acting: &Acting,
        recipient: &Recipient,
        content: &Content<MediaDraft>,
    ) -> Result<(), Failure> {
        if content.is_template() {
            return Ok(());
        }
        let now = self.now();
        let window = Window::at(now, recipient.last_inbound_at);
        // A caller who waits cannot be put off: `hold` answers as `refuse`.
        let policy = match acting.org.window_policy {
            WindowPolicy::Hold => WindowPolicy::Refuse,
            policy => policy,
        };
        if window.admits_free_form(policy, now, acting.number.created_at) {
            return Ok(());
        }
        Err(Failure::new(ErrorKind::WindowClosed, closed_message(window)))
    }
}

fn closed_message(window: Window) -> String {
    let why = match window {
        Window::ClosedSince(at) => format!("The 24-hour window closed at {}", rfc3339(at)),
        _ => "The customer has not written to this number".to_owned(),
    };
    format!("{why}; send an approved template, or wait until the customer writes.")
}

fn rfc3339(at: Timestamp) -> String {
    at.rfc3339()
}

//! Requests to commands. Form is checked in the order of the vendor reference, object by object,
//! and the first fault refuses the whole body; bounds doom a message and refuse nothing.

mod contacts;
mod content;
mod destination;
mod file;
mod interactive;
mod member;
mod options;
mod template;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};
use waypost_domain::command::{MediaDraft, Recipient, TemplateBinding};
use waypost_domain::content::MAX_REFERENCE_CHARS;
use waypost_domain::message::MessageOptions;
use waypost_domain::{Content, ErrorKind, Failure, OrgId};

use self::destination::{Addressee, MAX_RECIPIENTS};
use self::member::{Doom, Member, cut, members};
use super::codes;
use super::wire::{echo, member as name};
use crate::contract::{Command, SendMessage, Submission, Submit};
use crate::json::{self, Node, Type};

/// What a body may amount to once its content stands in every recipient's message, in bytes as
/// written: one content of 32 KiB for 1,000 recipients. Without a bound, 1 MiB could become 1 GiB.
const MAX_SPREAD_BYTES: usize = 32 * 1_024 * 1_024;

/// What a request says to all its recipients.
struct Said {
    content: Content<MediaDraft>,
    binding: Option<TemplateBinding>,
    identity_key_hash: Option<String>,
    doom: Doom,
    tells_all_later: bool,
}

/// One request object whose recipients and content are read.
struct Draft<'a> {
    app_id: String,
    addressees: Vec<Addressee<'a>>,
    said: Said,
    rest: options::Written<'a>,
    /// What each recipient's message may repeat, in bytes as written.
    shared_bytes: usize,
}

/// The request objects of one body.
#[derive(Default)]
struct Drafts<'a> {
    list: Vec<Draft<'a>>,
    recipients: usize,
    spread_bytes: usize,
}

/// `POST /resources/v1/messaging`
pub(super) fn submit(org_id: &OrgId, body: &[u8]) -> Result<Command, Failure> {
    let document = json::parse(body)?;
    let root = document.root();
    let mut drafts = Drafts::default();
    match root.elements() {
        Some(objects) => objects.map(draft).try_for_each(|draft| drafts.add(draft?))?,
        None => drafts.add(draft(root)?)?,
    }
    drafts.judge()?;
    let mut messages = Vec::with_capacity(drafts.recipients);
    for draft in drafts.list {
        let options = options::read(&draft.rest)?;
        spread(draft, org_id, options, &mut messages);
    }
    Ok(Command::Submit(Box::new(Submit { org_id: org_id.clone(), messages })))
}

/// What stands before a request's fault: app ids and contents of sound objects, and the app id of
/// the object with the fault where that comes behind it.
pub(super) fn before_fault(org_id: &OrgId, body: &[u8]) -> Vec<Submission> {
    let Ok(document) = json::parse(body) else { return Vec::new() };
    let root = document.root();
    let objects = root.elements().map(|objects| objects.take(MAX_RECIPIENTS).collect());
    let objects: Vec<Node<'_>> = objects.unwrap_or_else(|| vec![root]);
    let mut before = Vec::new();
    for object in objects {
        match draft(object) {
            Ok(Draft { app_id, said, .. }) => before.push(unaddressed(org_id, app_id, said)),
            Err(fault) => {
                let unread = |app_id| Submission::unread(org_id.clone(), app_id, fault);
                before.extend(sender_of(object).map(unread));
                break;
            }
        }
    }
    before
}

fn sender_of(object: Node<'_>) -> Option<String> {
    if object.kind() != Type::Object {
        return None;
    }
    let [channel, app_id] = members(object, [name::DELIVERY_CHANNEL, name::APPID]);
    judge_channel(&channel).and_then(|()| app_id_of(&app_id)).ok()
}

impl<'a> Drafts<'a> {
    fn add(&mut self, draft: Draft<'a>) -> Result<(), Failure> {
        let recipients = draft.addressees.len();
        self.recipients = self.recipients.saturating_add(recipients);
        let bytes = draft.shared_bytes.saturating_mul(recipients);
        self.spread_bytes = self.spread_bytes.saturating_add(bytes);
        // What comes after too many recipients is judged by its form and not kept.
        if self.recipients <= MAX_RECIPIENTS {
            self.list.push(draft);
        }
        Ok(())
    }

    fn judge(&self) -> Result<(), Failure> {
        if self.recipients == 0 {
            let message = "The body is an empty array; send at least one request object.";
            return Err(Failure::new(ErrorKind::InvalidBody, message));
        }
        if self.recipients > MAX_RECIPIENTS {
            let message = format!("The body names more than {MAX_RECIPIENTS} recipients.");
            return Err(codes::TOO_MANY_DESTINATIONS.failure(ErrorKind::InvalidValue, message));
        }
        if self.spread_bytes > MAX_SPREAD_BYTES {
            let message = "The content is too large for so many recipients; send several requests.";
            return Err(Failure::new(ErrorKind::BodyTooLarge, message));
        }
        Ok(())
    }
}

/// `deliverychannel`, `appid`, `destination`, content; the rest is kept for later.
fn draft(object: Node<'_>) -> Result<Draft<'_>, Failure> {
    if object.kind() != Type::Object {
        let message = "The body must be a request object, or an array of them.";
        return Err(Failure::new(ErrorKind::InvalidBody, message));
    }
    let [channel, app_id, destination, channels, message, correlation, callback_data, rest @ ..] =
        members(
            object,
            [
                name::DELIVERY_CHANNEL,
                name::APPID,
                name::DESTINATION,
                name::CHANNELS,
                name::MESSAGE,
                name::CORRELATION_ID,
                name::CALLBACK_DATA,
                name::NOTIFY_URL,
                name::NOTIFY_AUTH_ID,
                name::EXPIRY,
                name::PRIORITY,
            ],
        );
    let [notify_url, notify_auth_id, expiry, priority] = rest;
    judge_channel(&channel)?;
    let app_id = app_id_of(&app_id)?;
    let addressees = destination::read(&destination, &correlation)?;
    let said = if message.is_blank() {
        content::read(&channels)?
    } else {
        template::read(message.object()?, &channels)?
    };
    let own_bytes = destination.node().map_or(0, |node| node.written().len());
    Ok(Draft {
        app_id,
        addressees,
        said,
        rest: options::Written { callback_data, notify_url, notify_auth_id, expiry, priority },
        shared_bytes: object.written().len() - own_bytes,
    })
}

fn judge_channel(channel: &Member<'_>) -> Result<(), Failure> {
    let Some(word) = channel.optional_text()? else { return Ok(()) };
    let word = word.trim();
    let is_whatsapp = ["whatsapp", "wa"].iter().any(|known| word.eq_ignore_ascii_case(known));
    if is_whatsapp { Ok(()) } else { Err(channel.invalid()) }
}

fn app_id_of(app_id: &Member<'_>) -> Result<String, Failure> {
    if app_id.is_blank() {
        let message = "The request lacks `appid`.";
        return Err(codes::APPID_MISSING.failure(ErrorKind::MissingField, message).at(name::APPID));
    }
    Ok(app_id.text()?.trim().to_owned())
}

/// What a request says, for nobody yet.
fn unaddressed(org_id: &OrgId, app_id: String, said: Said) -> Submission {
    let send = SendMessage {
        number: Some(app_id),
        binding: said.binding,
        ..SendMessage::new(org_id.clone(), Recipient::Nobody, said.content)
    };
    let doomed = said.doom.into_failure();
    Submission { send, doomed, tells_all_later: said.tells_all_later }
}

/// One message for each recipient. The last one gets the content itself, the others copies.
fn spread(
    draft: Draft<'_>,
    org_id: &OrgId,
    options: options::Options<'_>,
    messages: &mut Vec<Submission>,
) {
    let Draft { app_id, mut addressees, said, .. } = draft;
    let fate = Fate { doom: said.doom.into_failure(), tells_all_later: said.tells_all_later };
    let callback_data = options.callback_data;
    let send = SendMessage {
        number: Some(app_id),
        options: MessageOptions {
            priority: options.priority,
            expires_at: options.expires_at,
            identity_key_hash: said.identity_key_hash,
            notify: options.notify,
            ..MessageOptions::default()
        },
        binding: said.binding,
        ..SendMessage::new(org_id.clone(), Recipient::Nobody, said.content)
    };
    let Some(last) = addressees.pop() else { return };
    for addressee in addressees {
        messages.push(submission(send.clone(), addressee, callback_data.as_deref(), fate.clone()));
    }
    messages.push(submission(send, last, callback_data.as_deref(), fate));
}

/// How the faults of a request's messages are told.
#[derive(Clone)]
struct Fate {
    doom: Option<Failure>,
    tells_all_later: bool,
}

fn submission(
    mut send: SendMessage,
    addressee: Addressee<'_>,
    callback_data: Option<&str>,
    fate: Fate,
) -> Submission {
    send.options.echo = kept(&addressee, callback_data);
    send.reference = addressee
        .correlation_id
        .filter(|text| cut(text, MAX_REFERENCE_CHARS).is_none())
        .map(Cow::into_owned);
    let (recipient, doomed) = match addressee.phone {
        Some(phone) => (Recipient::Phone(phone), fate.doom),
        None => (Recipient::Nobody, Some(destination::unreadable())),
    };
    send.recipient = recipient;
    Submission { send, doomed, tells_all_later: fate.tells_all_later }
}

/// What replies and receipts give back; nothing where nothing differs from the rule.
fn kept(addressee: &Addressee<'_>, callback_data: Option<&str>) -> Option<Arc<Value>> {
    let mut kept = Map::new();
    let mut keep = |name: &str, value: Value| kept.insert(name.to_owned(), value);
    if addressee.phone.as_ref().is_none_or(|phone| phone.digits() != addressee.written) {
        keep(echo::TO, Value::from(addressee.written.as_ref()));
    }
    if addressee.is_bsuid {
        keep(echo::BSUID, Value::Bool(true));
    }
    if let Some(text) = &addressee.correlation_id {
        keep(echo::CORRELATION_ID, Value::from(text.as_ref()));
    }
    if let Some(text) = callback_data {
        keep(echo::CALLBACK_DATA, Value::from(text));
    }
    (!kept.is_empty()).then(|| Arc::new(Value::Object(kept)))
}

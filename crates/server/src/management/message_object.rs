//! Reads Cloud API message objects as the management API takes them: with limits, and the path of
//! the field to blame. Knows nothing of directories; whether a customer, a file or a template
//! exists is the engine's to judge.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use waypost_domain::command::{MediaDraft, Recipient, SendMessage};
use waypost_domain::content::{
    self, Location, MAX_REFERENCE_CHARS, MAX_TEXT_CHARS, check_contacts,
};
use waypost_domain::media::MediaKind;
use waypost_domain::message::MessageOptions;
use waypost_domain::{Content, CustomerId, OrgId, Phone, Timestamp, UserId};

use super::fields::{MAX_SESSION_CHARS, check_length, check_text, words};
use super::media_object::MediaInput;
use super::message_options::{
    ContextInput, MAX_WAMID_CHARS, check_identity, priorities, read_end, read_notify,
    read_priority, read_unknown_policy, unknown_policies,
};
use super::template_object::{TemplateInput, read_template};
use crate::problem::{Faults, Problem};

/// The longest name of a template, in characters.
const MAX_TEMPLATE_CHARS: usize = 512;
/// The longest name or address of a place, in characters.
const MAX_PLACE_CHARS: usize = 1_000;

/// A Cloud API message object with the sender and the receiver.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageInput {
    /// The sender number by any of its names; by default the organisation's first.
    number: Option<String>,
    /// The receiver's number, or business-scoped user id such as `US.1349`; or `customer_id`.
    #[schema(example = "+15550001111")]
    to: Option<String>,
    /// The receiver in the directory; or `to`.
    customer_id: Option<String>,
    /// The user in whose name it is sent.
    user_id: Option<String>,
    /// Your word for the conversation.
    session_id: Option<String>,
    /// Your own value, given back in events.
    biz_opaque_callback_data: Option<String>,
    /// The message that it answers.
    context: Option<ContextInput>,
    /// It is delivered only to a person with this identity.
    recipient_identity_key_hash: Option<String>,
    /// Not sent any more from then on, in RFC 3339; by default a day from now.
    #[schema(example = "2026-01-31T12:00:00Z")]
    expires_at: Option<String>,
    /// The same in seconds from now.
    ttl_s: Option<u32>,
    /// Which messages of the number's queue go first; `normal` by default.
    #[schema(schema_with = priorities)]
    priority: Option<String>,
    /// What becomes of it if nobody knows whether it was sent; by default as the organisation says,
    /// and `never_resend` for one-time codes.
    #[schema(schema_with = unknown_policies)]
    unknown_policy: Option<String>,
    /// The template that goes in its place, or ahead of it, where its person's window is closed; by
    /// default the organisation's `window_fallback`, and none where it is empty.
    fallback_template: Option<String>,
    /// Where the statuses of this very message are posted.
    notify_url: Option<String>,
    /// The name of a credential registered with the number that these posts carry.
    notify_auth_id: Option<String>,
    /// `whatsapp`, if anything.
    messaging_product: Option<String>,
    /// `individual`, if anything.
    recipient_type: Option<String>,
    /// What it is; the member of this name says the rest.
    #[serde(rename = "type")]
    #[schema(schema_with = kinds)]
    kind: String,
    text: Option<TextInput>,
    image: Option<MediaInput>,
    video: Option<MediaInput>,
    audio: Option<MediaInput>,
    document: Option<MediaInput>,
    sticker: Option<MediaInput>,
    location: Option<LocationInput>,
    /// In Meta's form.
    #[schema(value_type = Option<Vec<Object>>)]
    contacts: Option<Value>,
    /// In Meta's form, of any kind; files by `id` of an upload or by `link`.
    #[schema(value_type = Option<Object>)]
    interactive: Option<Value>,
    reaction: Option<ReactionInput>,
    template: Option<TemplateInput>,
}

fn kinds() -> utoipa::openapi::schema::Object {
    words(&[
        "text",
        "image",
        "video",
        "audio",
        "document",
        "sticker",
        "location",
        "contacts",
        "interactive",
        "reaction",
        "template",
    ])
}

/// Text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextInput {
    /// 1 to 4096 characters.
    body: String,
    /// Whether the phone shows a preview of the first link.
    #[serde(default)]
    preview_url: bool,
}

/// A place on the map.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocationInput {
    latitude: f64,
    longitude: f64,
    name: Option<String>,
    address: Option<String>,
}

/// A reaction to one of the customer's messages; an empty emoji takes it back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReactionInput {
    message_id: String,
    emoji: String,
}

impl MessageInput {
    /// The command that it stands for.
    ///
    /// # Errors
    /// A 400 with every fault.
    pub(crate) fn into_command(
        mut self,
        org_id: &OrgId,
        now: Timestamp,
    ) -> Result<SendMessage, Problem> {
        let mut faults = Faults::default();
        self.check_envelope(&mut faults);
        let recipient = self.recipient(&mut faults);
        let options = self.options(&mut faults, now);
        let (number, user_id) = (self.number.clone(), self.user_id.clone());
        let (session_id, reference) =
            (self.session_id.clone(), self.biz_opaque_callback_data.clone());
        let content = self.content(&mut faults);
        faults.check()?;
        let (Some(recipient), Some(content)) = (recipient, content) else {
            return Err(Problem::invalid("type", "says nothing that can be sent"));
        };
        Ok(SendMessage {
            user_id: user_id.map(UserId::new),
            number,
            session_id,
            reference,
            options,
            ..SendMessage::new(org_id.clone(), recipient, content)
        })
    }

    fn check_envelope(&self, faults: &mut Faults) {
        if self.messaging_product.as_deref().is_some_and(|it| it != "whatsapp") {
            faults.add("messaging_product", "must be whatsapp");
        }
        if self.recipient_type.as_deref().is_some_and(|it| it != "individual") {
            faults.add("recipient_type", "must be individual");
        }
        check_length(faults, "session_id", self.session_id.as_deref(), MAX_SESSION_CHARS);
        let reference = self.biz_opaque_callback_data.as_deref();
        check_length(faults, "biz_opaque_callback_data", reference, MAX_REFERENCE_CHARS);
    }

    fn recipient(&self, faults: &mut Faults) -> Option<Recipient> {
        match (&self.to, &self.customer_id) {
            (Some(to), None) => {
                let phone = match Phone::business_scoped(to) {
                    Some(scoped) => Some(scoped),
                    None => faults.take("to", Phone::parse(to)),
                };
                phone.map(Recipient::Phone)
            }
            (None, Some(id)) => Some(Recipient::Customer(CustomerId::new(id))),
            (None, None) => {
                faults.add("to", "is required, or customer_id");
                None
            }
            (Some(_), Some(_)) => {
                faults.add("customer_id", "cannot stand beside to; give one of them");
                None
            }
        }
    }

    fn options(&mut self, faults: &mut Faults, now: Timestamp) -> MessageOptions {
        check_identity(faults, self.recipient_identity_key_hash.as_deref());
        let fallback = self.fallback_template.as_deref();
        check_length(faults, "fallback_template", fallback, MAX_TEMPLATE_CHARS);
        let (notify_url, auth_id) = (self.notify_url.take(), self.notify_auth_id.take());
        MessageOptions {
            priority: read_priority(faults, self.priority.as_deref()),
            expires_at: read_end(faults, self.expires_at.as_deref(), self.ttl_s, now),
            reply_to: self.context.take().map(|context| context.read(faults)),
            identity_key_hash: self.recipient_identity_key_hash.take(),
            unknown_policy: read_unknown_policy(faults, self.unknown_policy.as_deref()),
            fallback_template: self.fallback_template.take(),
            notify: read_notify(faults, notify_url, auth_id),
            ..MessageOptions::default()
        }
    }

    fn content(mut self, faults: &mut Faults) -> Option<Content<MediaDraft>> {
        let kind = self.kind.clone();
        self.refuse_others(faults, &kind);
        if let Some(media) = MediaKind::parse(&kind).filter(|it| it.as_str() == kind) {
            let input = self.take_media(media);
            return required(faults, &kind, input).and_then(|it| it.read(faults, media, &kind));
        }
        match kind.as_str() {
            "text" => required(faults, "text", self.text)?.read(faults),
            "location" => required(faults, "location", self.location)?.read(faults),
            "contacts" => {
                let contacts = required(faults, "contacts", self.contacts)?;
                read_contacts(faults, &contacts)
            }
            "interactive" => {
                let interactive = required(faults, "interactive", self.interactive)?;
                read_interactive(faults, &interactive)
            }
            "reaction" => required(faults, "reaction", self.reaction)?.read(faults),
            "template" => {
                let template = required(faults, "template", self.template)?;
                read_template(faults, template).map(Content::Template)
            }
            _ => {
                faults.add("type", "is not a type of message that can be sent");
                None
            }
        }
    }

    /// A member for another type than the one declared is a mistake that would be sent unseen.
    fn refuse_others(&self, faults: &mut Faults, kind: &str) {
        for (name, given) in [
            ("text", self.text.is_some()),
            ("image", self.image.is_some()),
            ("video", self.video.is_some()),
            ("audio", self.audio.is_some()),
            ("document", self.document.is_some()),
            ("sticker", self.sticker.is_some()),
            ("location", self.location.is_some()),
            ("contacts", self.contacts.is_some()),
            ("interactive", self.interactive.is_some()),
            ("reaction", self.reaction.is_some()),
            ("template", self.template.is_some()),
        ] {
            if given && name != kind {
                faults.add(name, "does not belong to this type of message");
            }
        }
    }

    fn take_media(&mut self, kind: MediaKind) -> Option<MediaInput> {
        match kind {
            MediaKind::Image => self.image.take(),
            MediaKind::Video => self.video.take(),
            MediaKind::Audio => self.audio.take(),
            MediaKind::Document => self.document.take(),
            MediaKind::Sticker => self.sticker.take(),
        }
    }
}

impl TextInput {
    fn read(self, faults: &mut Faults) -> Option<Content<MediaDraft>> {
        if self.body.trim().is_empty() {
            faults.add("text.body", "must not be blank");
        }
        check_length(faults, "text.body", Some(&self.body), MAX_TEXT_CHARS);
        Some(Content::Text { body: self.body, preview_url: self.preview_url })
    }
}

impl LocationInput {
    fn read(self, faults: &mut Faults) -> Option<Content<MediaDraft>> {
        if !(-90.0..=90.0).contains(&self.latitude) {
            faults.add("location.latitude", "must be -90 to 90");
        }
        if !(-180.0..=180.0).contains(&self.longitude) {
            faults.add("location.longitude", "must be -180 to 180");
        }
        check_length(faults, "location.name", self.name.as_deref(), MAX_PLACE_CHARS);
        check_length(faults, "location.address", self.address.as_deref(), MAX_PLACE_CHARS);
        Some(Content::Location(Location {
            latitude: self.latitude,
            longitude: self.longitude,
            name: self.name,
            address: self.address,
        }))
    }
}

impl ReactionInput {
    fn read(self, faults: &mut Faults) -> Option<Content<MediaDraft>> {
        check_text(faults, "reaction.message_id", &self.message_id, MAX_WAMID_CHARS);
        check_length(faults, "reaction.emoji", Some(&self.emoji), 32);
        Some(Content::Reaction { message_id: self.message_id, emoji: self.emoji })
    }
}

fn read_contacts(faults: &mut Faults, contacts: &Value) -> Option<Content<MediaDraft>> {
    let read = content::read_contacts(contacts, "contacts");
    let read = read.and_then(|cards| check_contacts(&cards, "contacts").map(|()| cards));
    faults.take_read(read).map(Content::Contacts)
}

fn read_interactive(faults: &mut Faults, interactive: &Value) -> Option<Content<MediaDraft>> {
    let read = content::read_interactive(interactive, "interactive");
    let read = read.and_then(|it| it.check("interactive").map(|()| it));
    faults.take_read(read).map(|interactive| Content::Interactive(Box::new(interactive)))
}

/// The value, or a note that it is missing.
fn required<T>(faults: &mut Faults, field: &str, value: Option<T>) -> Option<T> {
    if value.is_none() {
        faults.add(field, "is required for this type of message");
    }
    value
}

#[cfg(test)]
mod tests;

//! Reads Cloud API message objects as the management API takes them: with limits, and the path of
//! the field to blame. Knows nothing of directories; whether a customer, a file or a template
//! exists is the engine's to judge.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use waypost_domain::command::{MediaDraft, Recipient, SendMessage};
use waypost_domain::content::{
    Location, MAX_CAPTION_CHARS, MAX_REFERENCE_CHARS, MAX_TEXT_CHARS, MediaMessage, MediaSource,
};
use waypost_domain::media::{MediaKind, clean_filename};
use waypost_domain::{Content, CustomerId, MediaId, OrgId, Phone, UserId};

use super::template_object::{TemplateInput, read_template};
use crate::problem::{Faults, Problem};

/// The longest link, in characters.
const MAX_LINK_CHARS: usize = 2_048;
/// The longest word of the caller's for a conversation, in characters.
const MAX_SESSION_CHARS: usize = 256;
/// The longest name or address of a place, in characters.
const MAX_PLACE_CHARS: usize = 1_000;
/// The most contact cards of a message.
const MAX_CONTACTS: usize = 100;

/// A Cloud API message object with the sender and the receiver.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageInput {
    /// The sender number by any of its names; by default the organisation's first.
    number: Option<String>,
    /// The receiver's number; or `customer_id`.
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
    contacts: Option<Vec<Value>>,
    /// In Meta's form.
    #[schema(value_type = Option<Object>)]
    interactive: Option<Value>,
    reaction: Option<ReactionInput>,
    template: Option<TemplateInput>,
}

fn kinds() -> utoipa::openapi::schema::Object {
    super::openapi::words(&[
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

/// A file: `id` of an upload, or `link`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MediaInput {
    pub(super) id: Option<String>,
    pub(super) link: Option<String>,
    /// The media provider whose credential fetches the link.
    pub(super) provider: Option<String>,
    /// For image, video and document: at most 1024 characters.
    caption: Option<String>,
    /// For documents.
    pub(super) filename: Option<String>,
    /// For audio: whether it is a voice message.
    voice: Option<bool>,
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
    pub(crate) fn into_command(self, org_id: &OrgId) -> Result<SendMessage, Problem> {
        let mut faults = Faults::default();
        self.check_envelope(&mut faults);
        let recipient = self.recipient(&mut faults);
        let (number, user_id) = (self.number.clone(), self.user_id.clone());
        let (session_id, reference) =
            (self.session_id.clone(), self.biz_opaque_callback_data.clone());
        let content = self.content(&mut faults);
        faults.check()?;
        let (Some(recipient), Some(content)) = (recipient, content) else {
            return Err(Problem::invalid("type", "says nothing that can be sent"));
        };
        Ok(SendMessage {
            org_id: org_id.clone(),
            user_id: user_id.map(UserId::new),
            recipient,
            number,
            session_id,
            reference,
            content,
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
            (Some(to), None) => faults.take("to", Phone::parse(to)).map(Recipient::Phone),
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
                read_contacts(faults, contacts)
            }
            "interactive" => {
                let interactive = required(faults, "interactive", self.interactive)?;
                read_interactive(faults, interactive)
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

impl MediaInput {
    fn read(self, faults: &mut Faults, kind: MediaKind, path: &str) -> Option<Content<MediaDraft>> {
        let at = |name: &str| format!("{path}.{name}");
        if self.caption.is_some() && !kind.takes_caption() {
            faults.add(at("caption"), "is only for image, video and document");
        }
        check_length(faults, &at("caption"), self.caption.as_deref(), MAX_CAPTION_CHARS);
        if self.filename.is_some() && kind != MediaKind::Document {
            faults.add(at("filename"), "is only for documents");
        }
        if self.voice.is_some() && kind != MediaKind::Audio {
            faults.add(at("voice"), "is only for audio");
        }
        let source = self.source(faults, path)?;
        Some(Content::Media(MediaMessage {
            kind,
            media: MediaDraft { kind, source, path: path.to_owned() },
            caption: self.caption.filter(|caption| !caption.is_empty()),
            filename: self.filename.as_deref().and_then(clean_filename),
            voice: self.voice.unwrap_or_default(),
        }))
    }

    /// Where the file is.
    pub(super) fn source(&self, faults: &mut Faults, path: &str) -> Option<MediaSource> {
        match (&self.id, &self.link) {
            (Some(id), None) => {
                if self.provider.is_some() {
                    faults.add(format!("{path}.provider"), "belongs beside link");
                }
                Some(MediaSource::Id(MediaId::new(id)))
            }
            (None, Some(link)) => {
                check_link(faults, &format!("{path}.link"), link);
                Some(MediaSource::Link { url: link.clone(), provider: self.provider.clone() })
            }
            (None, None) => {
                faults.add(format!("{path}.id"), "is required, or link");
                None
            }
            (Some(_), Some(_)) => {
                faults.add(format!("{path}.link"), "cannot stand beside id; give one of them");
                None
            }
        }
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
        if self.message_id.trim().is_empty() {
            faults.add("reaction.message_id", "must not be blank");
        }
        check_length(faults, "reaction.message_id", Some(&self.message_id), 512);
        check_length(faults, "reaction.emoji", Some(&self.emoji), 32);
        Some(Content::Reaction { message_id: self.message_id, emoji: self.emoji })
    }
}

fn read_contacts(faults: &mut Faults, contacts: Vec<Value>) -> Option<Content<MediaDraft>> {
    if contacts.is_empty() || contacts.len() > MAX_CONTACTS {
        faults.add("contacts", format!("must have 1 to {MAX_CONTACTS} entries"));
    }
    for (place, contact) in contacts.iter().enumerate() {
        if contact["name"]["formatted_name"].as_str().is_none_or(|it| it.trim().is_empty()) {
            faults.add(format!("contacts[{place}].name.formatted_name"), "is required");
        }
    }
    Some(Content::Contacts(contacts))
}

fn read_interactive(faults: &mut Faults, interactive: Value) -> Option<Content<MediaDraft>> {
    if interactive["type"].as_str().is_none_or(str::is_empty) {
        faults.add("interactive.type", "is required");
    }
    if !interactive["action"].is_object() {
        faults.add("interactive.action", "is required");
    }
    Some(Content::Interactive(interactive))
}

/// The value, or a note that it is missing.
fn required<T>(faults: &mut Faults, field: &str, value: Option<T>) -> Option<T> {
    if value.is_none() {
        faults.add(field, "is required for this type of message");
    }
    value
}

/// Refuses a text that is longer than so many code points.
pub(super) fn check_length(faults: &mut Faults, field: &str, text: Option<&str>, max_chars: usize) {
    if text.is_some_and(|text| text.chars().count() > max_chars) {
        faults.add(field, format!("may have at most {max_chars} characters"));
    }
}

fn check_link(faults: &mut Faults, field: &str, link: &str) {
    check_length(faults, field, Some(link), MAX_LINK_CHARS);
    let valid = url::Url::parse(link)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !valid {
        faults.add(field, "must be an http or https URL");
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::read_value;
    use super::*;
    use serde_json::json;

    fn read(mut value: Value) -> Result<SendMessage, Problem> {
        if value.get("to").is_none() && value.get("customer_id").is_none() {
            value["to"] = json!("+1 555 000 1111");
        }
        read_value::<MessageInput>(value)?.into_command(&OrgId::new("org-1"))
    }

    fn fault(value: Value) -> String {
        let shown = value.to_string();
        match read(value) {
            Ok(_) => panic!("was taken: {shown}"),
            Err(problem) => problem.errors()[0].field.clone(),
        }
    }

    #[test]
    fn every_type_of_message_can_be_sent() {
        for (value, type_name) in [
            (json!({"type":"text","text":{"body":"hi","preview_url":true}}), "text"),
            (json!({"type":"image","image":{"id":"1000000000000042","caption":"c"}}), "image"),
            (json!({"type":"video","video":{"link":"https://files.example.com/a.mp4"}}), "video"),
            (json!({"type":"audio","audio":{"id":"1","voice":true}}), "audio"),
            (json!({"type":"document","document":{"id":"1","filename":"../a.pdf"}}), "document"),
            (json!({"type":"sticker","sticker":{"id":"1"}}), "sticker"),
            (json!({"type":"location","location":{"latitude":3.1,"longitude":-101}}), "location"),
            (
                json!({"type":"contacts","contacts":[{"name":{"formatted_name":"Jane"}}]}),
                "contacts",
            ),
            (
                json!({"type":"interactive","interactive":{"type":"list","action":{}}}),
                "interactive",
            ),
            (json!({"type":"reaction","reaction":{"message_id":"wamid.1","emoji":""}}), "reaction"),
            (
                json!({"type":"template","template":{"name":"hello","language":{"code":"en"}}}),
                "template",
            ),
        ] {
            let command = read(value).unwrap();
            assert_eq!(command.content.type_name(), type_name);
        }
    }

    #[test]
    fn the_envelope_says_who_and_by_which_number() {
        let command = read(json!({"type":"text","text":{"body":"hi"},"to":"15550001111",
            "number":"15550002222","user_id":"u-1","session_id":"s-1",
            "biz_opaque_callback_data":"mine","messaging_product":"whatsapp",
            "recipient_type":"individual"}))
        .unwrap();
        assert_eq!(command.recipient, Recipient::Phone(Phone::parse("15550001111").unwrap()));
        assert_eq!(command.number.as_deref(), Some("15550002222"));
        assert_eq!(command.reference.as_deref(), Some("mine"));
        let by_id = read(json!({"type":"text","text":{"body":"hi"},"customer_id":"c-1"})).unwrap();
        assert_eq!(by_id.recipient, Recipient::Customer(CustomerId::new("c-1")));
    }

    #[test]
    fn a_document_keeps_its_cleaned_name_and_its_place() {
        let value = json!({"type":"document",
            "document":{"link":"https://files.example.com/a","provider":"files","filename":"../a.pdf"}});
        let Content::Media(message) = read(value).unwrap().content else { panic!("a file") };
        assert_eq!(message.filename.as_deref(), Some("a.pdf"));
        assert_eq!(message.media.path, "document");
        let provider = Some("files".to_owned());
        let url = "https://files.example.com/a".to_owned();
        assert_eq!(message.media.source, MediaSource::Link { url, provider });
    }

    #[test]
    fn refuses_with_the_path_of_the_field() {
        let long = |count: usize| "ü".repeat(count);
        for (value, field) in [
            (json!({}), "type"),
            (json!({"type":"poll"}), "type"),
            (json!({"type":"text"}), "text"),
            (json!({"type":"text","text":{}}), "text.body"),
            (json!({"type":"text","text":{"body":5}}), "text.body"),
            (json!({"type":"text","text":{"body":" "}}), "text.body"),
            (json!({"type":"text","text":{"body":long(4_097)}}), "text.body"),
            (json!({"type":"text","text":{"body":"x","bdoy":1}}), "text.bdoy"),
            (json!({"type":"text","text":{"body":"x"},"image":{"id":"1"}}), "image"),
            (json!({"type":"text","text":{"body":"x"},"to":"123"}), "to"),
            (
                json!({"type":"text","text":{"body":"x"},"to":"15550001111","customer_id":"c"}),
                "customer_id",
            ),
            (json!({"type":"text","text":{"body":"x"},"recipient_type":"group"}), "recipient_type"),
            (json!({"type":"text","text":{"body":"x"},"session_id":long(257)}), "session_id"),
            (
                json!({"type":"text","text":{"body":"x"},"biz_opaque_callback_data":long(513)}),
                "biz_opaque_callback_data",
            ),
            (json!({"type":"image","image":{}}), "image.id"),
            (json!({"type":"image","image":{"id":"1","link":"https://a.example/x"}}), "image.link"),
            (json!({"type":"image","image":{"link":"ftp://a.example/x"}}), "image.link"),
            (json!({"type":"image","image":{"link":"https://"}}), "image.link"),
            (json!({"type":"image","image":{"id":"1","provider":"p"}}), "image.provider"),
            (json!({"type":"image","image":{"id":"1","caption":long(1_025)}}), "image.caption"),
            (json!({"type":"image","image":{"id":"1","filename":"x"}}), "image.filename"),
            (json!({"type":"audio","audio":{"id":"1","caption":"x"}}), "audio.caption"),
            (json!({"type":"video","video":{"id":"1","voice":true}}), "video.voice"),
            (
                json!({"type":"location","location":{"latitude":91,"longitude":0}}),
                "location.latitude",
            ),
            (json!({"type":"contacts","contacts":[]}), "contacts"),
            (json!({"type":"contacts","contacts":[{}]}), "contacts[0].name.formatted_name"),
            (json!({"type":"interactive","interactive":{"action":{}}}), "interactive.type"),
            (json!({"type":"interactive","interactive":{"type":"list"}}), "interactive.action"),
            (
                json!({"type":"reaction","reaction":{"message_id":" ","emoji":"x"}}),
                "reaction.message_id",
            ),
        ] {
            assert_eq!(fault(value.clone()), field, "{value}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(read(json!({"type":"text","text":{"body":"ü".repeat(4_096)}})).is_ok());
        assert!(
            read(json!({"type":"image","image":{"id":"1","caption":"ü".repeat(1_024)}})).is_ok()
        );
    }

    #[test]
    fn a_message_without_a_receiver_is_refused() {
        let value = json!({"type":"text","text":{"body":"x"}});
        let input: MessageInput = read_value(value).unwrap();
        let problem = input.into_command(&OrgId::new("org-1")).unwrap_err();
        assert_eq!(problem.errors()[0].field, "to");
    }
}

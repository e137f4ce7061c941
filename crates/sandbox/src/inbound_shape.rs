//! What the members of an inbound message must be (reference §5.3): strings where Meta's webhooks
//! have strings, lists of objects where they have lists. Members it does not know it leaves alone.

use serde_json::{Map, Value};

use crate::media_kind::MediaKind;

const LATITUDE_MAX: f64 = 90.0;
const LONGITUDE_MAX: f64 = 180.0;

/// What a value must be.
enum Shape {
    Text,
    Flag,
    Number,
    /// A number, or a string that holds one.
    Amount,
    /// From minus this to this.
    Degrees(f64),
    /// These members may be there.
    Object(&'static [Member]),
    List(&'static Shape),
}

type Member = (&'static str, Shape);

const NOTHING_KNOWN: Shape = Shape::Object(&[]);

const MEDIA: Shape = Shape::Object(&[
    ("id", Shape::Text),
    ("data", Shape::Text),
    ("mime_type", Shape::Text),
    ("sha256", Shape::Text),
    ("url", Shape::Text),
    ("caption", Shape::Text),
    ("filename", Shape::Text),
    ("voice", Shape::Flag),
    ("animated", Shape::Flag),
]);

const LOCATION: Shape = Shape::Object(&[
    ("latitude", Shape::Degrees(LATITUDE_MAX)),
    ("longitude", Shape::Degrees(LONGITUDE_MAX)),
    ("name", Shape::Text),
    ("address", Shape::Text),
    ("url", Shape::Text),
]);

const CONTACT: Shape = Shape::Object(&[
    (
        "name",
        Shape::Object(&[
            ("formatted_name", Shape::Text),
            ("first_name", Shape::Text),
            ("middle_name", Shape::Text),
            ("last_name", Shape::Text),
            ("prefix", Shape::Text),
            ("suffix", Shape::Text),
        ]),
    ),
    (
        "phones",
        Shape::List(&Shape::Object(&[
            ("phone", Shape::Text),
            ("wa_id", Shape::Text),
            ("type", Shape::Text),
        ])),
    ),
    ("emails", Shape::List(&Shape::Object(&[("email", Shape::Text), ("type", Shape::Text)]))),
    ("urls", Shape::List(&Shape::Object(&[("url", Shape::Text), ("type", Shape::Text)]))),
    (
        "addresses",
        Shape::List(&Shape::Object(&[
            ("street", Shape::Text),
            ("city", Shape::Text),
            ("state", Shape::Text),
            ("zip", Shape::Text),
            ("country", Shape::Text),
            ("country_code", Shape::Text),
            ("type", Shape::Text),
        ])),
    ),
    (
        "org",
        Shape::Object(&[
            ("company", Shape::Text),
            ("department", Shape::Text),
            ("title", Shape::Text),
        ]),
    ),
    ("birthday", Shape::Text),
    ("vcard", Shape::Text),
    ("origin", Shape::Text),
]);

const INTERACTIVE: Shape = Shape::Object(&[
    ("type", Shape::Text),
    ("button_reply", Shape::Object(&[("id", Shape::Text), ("title", Shape::Text)])),
    (
        "list_reply",
        Shape::Object(&[("id", Shape::Text), ("title", Shape::Text), ("description", Shape::Text)]),
    ),
    (
        "nfm_reply",
        Shape::Object(&[
            ("name", Shape::Text),
            ("body", Shape::Text),
            ("response_json", Shape::Text),
        ]),
    ),
    (
        "call_permission_reply",
        Shape::Object(&[("response", Shape::Text), ("response_source", Shape::Text)]),
    ),
]);

const ORDER: Shape = Shape::Object(&[
    ("catalog_id", Shape::Text),
    ("text", Shape::Text),
    (
        "product_items",
        Shape::List(&Shape::Object(&[
            ("product_retailer_id", Shape::Text),
            ("quantity", Shape::Amount),
            ("item_price", Shape::Amount),
            ("currency", Shape::Text),
        ])),
    ),
]);

const SYSTEM: Shape = Shape::Object(&[
    ("type", Shape::Text),
    ("body", Shape::Text),
    ("wa_id", Shape::Text),
    ("identity", Shape::Object(&[("hash", Shape::Text)])),
]);

const ERRORS: Shape = Shape::List(&Shape::Object(&[
    ("code", Shape::Number),
    ("title", Shape::Text),
    ("message", Shape::Text),
]));

/// The members beside the content that are not told to be something else where they are used.
const AROUND: [Member; 8] = [
    ("id", Shape::Text),
    ("name", Shape::Text),
    ("profile", Shape::Object(&[("name", Shape::Text)])),
    (
        "context",
        Shape::Object(&[
            ("id", Shape::Text),
            ("from", Shape::Text),
            ("forwarded", Shape::Flag),
            ("frequently_forwarded", Shape::Flag),
            ("referred_product", NOTHING_KNOWN),
        ]),
    ),
    (
        "referral",
        Shape::Object(&[
            ("source_url", Shape::Text),
            ("source_id", Shape::Text),
            ("source_type", Shape::Text),
            ("headline", Shape::Text),
            ("body", Shape::Text),
            ("media_type", Shape::Text),
            ("image_url", Shape::Text),
            ("video_url", Shape::Text),
            ("thumbnail_url", Shape::Text),
            ("ctwa_clid", Shape::Text),
            ("welcome_message", Shape::Object(&[("text", Shape::Text)])),
        ]),
    ),
    ("group_id", Shape::Text),
    ("errors", ERRORS),
    ("value_errors", ERRORS),
];

fn shape_of(kind: &str) -> Shape {
    match kind {
        "text" => Shape::Object(&[("body", Shape::Text)]),
        "location" => LOCATION,
        "contacts" => Shape::List(&CONTACT),
        "reaction" => Shape::Object(&[("message_id", Shape::Text), ("emoji", Shape::Text)]),
        "button" => Shape::Object(&[("payload", Shape::Text), ("text", Shape::Text)]),
        "interactive" => INTERACTIVE,
        "order" => ORDER,
        "system" => SYSTEM,
        "edit" => {
            Shape::Object(&[("original_message_id", Shape::Text), ("message", NOTHING_KNOWN)])
        }
        "revoke" => Shape::Object(&[("original_message_id", Shape::Text)]),
        "unsupported" => Shape::Object(&[("type", Shape::Text)]),
        media if MediaKind::parse(media).is_some() => MEDIA,
        _ => NOTHING_KNOWN,
    }
}

/// Checks the member that has the name of the type.
pub(crate) fn check_content(kind: &str, content: &Value) -> Result<(), String> {
    shape_of(kind).check(kind, content)?;
    match kind {
        "text" if content.get("body").is_none() => Err("text.body must be a string".into()),
        "location" => check_place(content),
        _ => Ok(()),
    }
}

/// A place that a person sends has both coordinates.
pub(crate) fn check_place(location: &Value) -> Result<(), String> {
    LOCATION.check("location", location)?;
    match ["latitude", "longitude"].into_iter().find(|name| location.get(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(format!("location.{name} is missing")),
    }
}

/// Checks the members beside the content.
pub(crate) fn check_around(body: &Map<String, Value>) -> Result<(), String> {
    if body.get("id").and_then(Value::as_str) == Some("") {
        return Err("id must not be empty".into());
    }
    check_members(&AROUND, body, "")
}

fn check_members(members: &[Member], object: &Map<String, Value>, at: &str) -> Result<(), String> {
    members.iter().try_for_each(|(name, shape)| match object.get(*name) {
        None => Ok(()),
        Some(value) if at.is_empty() => shape.check(name, value),
        Some(value) => shape.check(&format!("{at}.{name}"), value),
    })
}

impl Shape {
    /// Refuses a value of another shape and names it by its path.
    fn check(&self, at: &str, value: &Value) -> Result<(), String> {
        let (fits, what) = match self {
            Self::Text => (value.is_string(), "a string".to_owned()),
            Self::Flag => (value.is_boolean(), "true or false".to_owned()),
            Self::Number => (value.is_number(), "a number".to_owned()),
            Self::Amount => (amount(value).is_some(), "a number".to_owned()),
            Self::Degrees(max) => {
                let fits = value.as_f64().is_some_and(|degrees| degrees.abs() <= *max);
                (fits, format!("a number from -{max} to {max}"))
            }
            Self::Object(members) => {
                let object = value.as_object();
                let object = object.ok_or_else(|| format!("{at} must be an object"))?;
                return check_members(members, object, at);
            }
            Self::List(element) => {
                let list = value.as_array().ok_or_else(|| format!("{at} must be an array"))?;
                let mut places = list.iter().enumerate();
                return places.try_for_each(|(index, value)| {
                    element.check(&format!("{at}[{index}]"), value)
                });
            }
        };
        if fits { Ok(()) } else { Err(format!("{at} must be {what}")) }
    }
}

fn amount(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_what_webhooks_carry_and_names_what_they_do_not() {
        let cases = [
            ("order", json!({"product_items": [{"quantity": "2", "item_price": 2.5}]}), None),
            ("order", json!({"product_items": {}}), Some("order.product_items")),
            ("order", json!({"product_items": [null]}), Some("order.product_items[0]")),
            (
                "order",
                json!({"product_items": [{"quantity": "two"}]}),
                Some("order.product_items[0].quantity"),
            ),
            ("contacts", json!([{"name": {"formatted_name": "Bo"}, "phones": []}]), None),
            ("contacts", json!([null]), Some("contacts[0]")),
            ("contacts", json!([{"name": 5, "phones": "x"}]), Some("contacts[0].name")),
            ("contacts", json!([{"phones": [null]}]), Some("contacts[0].phones[0]")),
            ("button", json!({"payload": "p", "text": 5}), Some("button.text")),
            ("image", json!({"id": "1", "caption": {}}), Some("image.caption")),
            ("audio", json!({"id": "1", "voice": "yes"}), Some("audio.voice")),
            ("location", json!({"latitude": -90, "longitude": 180.0, "new": null}), None),
            ("location", json!({"latitude": 91, "longitude": 0}), Some("location.latitude")),
            ("location", json!({"latitude": "1", "longitude": 0}), Some("location.latitude")),
            ("location", json!({"latitude": 1}), Some("location.longitude")),
            ("interactive", json!({"nfm_reply": {"response_json": {}}}), Some("response_json")),
            ("text", json!({}), Some("text.body")),
            ("ephemeral", json!([]), Some("ephemeral")),
        ];
        for (kind, content, wrong) in cases {
            let told = check_content(kind, &content).err();
            let named = told.as_deref().map(|told| wrong.is_some_and(|name| told.contains(name)));
            assert_eq!(named, wrong.map(|_| true), "{kind} {content}: {told:?}");
        }
    }
}

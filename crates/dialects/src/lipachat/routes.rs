//! Which paths there are, what they take and what a key must be allowed to do there.

use http::Method;
use waypost_domain::directory::Scope;
use waypost_domain::media::MEGABYTE;

use super::wire::{member, path};
use crate::contract::{BodyKind, FormParts, JsonTypes, Operation, Route};

/// The largest JSON body, in bytes.
const MAX_JSON_BYTES: u64 = MEGABYTE;
/// The largest form, in bytes: 100 MB of file, and something around it.
const MAX_FORM_BYTES: u64 = 105 * MEGABYTE;

const JSON: BodyKind = BodyKind::Json { max_bytes: MAX_JSON_BYTES, types: JsonTypes::Application };
const FILE: BodyKind = BodyKind::Multipart {
    max_bytes: MAX_FORM_BYTES,
    parts: FormParts { file: member::FILE, texts: &[] },
};
const JSON_OR_FILE: BodyKind = BodyKind::JsonOrMultipart {
    max_bytes: MAX_FORM_BYTES,
    max_json_bytes: MAX_JSON_BYTES,
    parts: FLOW_PARTS,
};
const FLOW_PARTS: FormParts = FormParts {
    file: member::FILE,
    texts: &[member::PHONE_NUMBER, member::NAME, member::CATEGORIES],
};

const fn send(path: &'static str) -> Route {
    let (operation, scope) = (Operation::SendMessage, Scope::MessagesSend);
    Route { method: Method::POST, path, operation, body: JSON, scope }
}

const fn manage(method: Method, path: &'static str, body: BodyKind, scope: Scope) -> Route {
    Route { method, path, operation: Operation::Manage, body, scope }
}

const fn templates(method: Method, path: &'static str, body: BodyKind) -> Route {
    manage(method, path, body, Scope::Templates)
}

/// Every route. Forms are managed by those who may manage templates.
pub(super) static ROUTES: [Route; 20] = [
    send(path::TEXT),
    send(path::MEDIA),
    send(path::BUTTONS),
    send(path::LIST),
    send(path::CONTACT),
    send(path::LOCATION),
    send(path::REQUEST_LOCATION),
    send(path::TEMPLATE),
    send(path::FLOW_MESSAGE),
    manage(Method::GET, path::MESSAGES, BodyKind::None, Scope::MessagesRead),
    templates(Method::POST, path::TEMPLATE_SAMPLE, FILE),
    templates(Method::GET, path::TEMPLATES, BodyKind::None),
    templates(Method::POST, path::TEMPLATES, JSON),
    templates(Method::PUT, path::ONE_TEMPLATE, JSON),
    templates(Method::GET, path::FLOWS, BodyKind::None),
    templates(Method::POST, path::FLOWS, JSON_OR_FILE),
    templates(Method::GET, path::ONE_FLOW, BodyKind::None),
    templates(Method::PUT, path::ONE_FLOW, JSON_OR_FILE),
    templates(Method::GET, path::FLOW_PREVIEW, BodyKind::None),
    templates(Method::POST, path::FLOW_PUBLISH, BodyKind::None),
];

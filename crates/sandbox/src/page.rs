//! The files of the handset page, compiled in, under one Content-Security-Policy: nothing inline,
//! nothing from elsewhere, pictures and films of messages included.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

use crate::Sandbox;

const PAGE_CSP: &str =
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml; charset=utf-8";

/// Path, type and content.
const FILES: [(&str, &str, &str); 22] = [
    ("/", HTML, include_str!("../static/index.html")),
    ("/favicon.svg", SVG, include_str!("../static/favicon.svg")),
    ("/handset/page.css", CSS, include_str!("../static/page.css")),
    ("/handset/bubbles.css", CSS, include_str!("../static/bubbles.css")),
    ("/handset/sheets.css", CSS, include_str!("../static/sheets.css")),
    ("/handset/answers.js", SCRIPT, include_str!("../static/answers.js")),
    ("/handset/api.js", SCRIPT, include_str!("../static/api.js")),
    ("/handset/app.js", SCRIPT, include_str!("../static/app.js")),
    ("/handset/bubbles.js", SCRIPT, include_str!("../static/bubbles.js")),
    ("/handset/cards.js", SCRIPT, include_str!("../static/cards.js")),
    ("/handset/chats.js", SCRIPT, include_str!("../static/chats.js")),
    ("/handset/composer.js", SCRIPT, include_str!("../static/composer.js")),
    ("/handset/conversation.js", SCRIPT, include_str!("../static/conversation.js")),
    ("/handset/dom.js", SCRIPT, include_str!("../static/dom.js")),
    ("/handset/forms.js", SCRIPT, include_str!("../static/forms.js")),
    ("/handset/log.js", SCRIPT, include_str!("../static/log.js")),
    ("/handset/media.js", SCRIPT, include_str!("../static/media.js")),
    ("/handset/place.js", SCRIPT, include_str!("../static/place.js")),
    ("/handset/refresh.js", SCRIPT, include_str!("../static/refresh.js")),
    ("/handset/sheets.js", SCRIPT, include_str!("../static/sheets.js")),
    ("/handset/state.js", SCRIPT, include_str!("../static/state.js")),
    ("/handset/text.js", SCRIPT, include_str!("../static/text.js")),
];

/// The routes of the files.
pub(crate) fn routes() -> Router<Sandbox> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(async move || file(kind, text)))
    })
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_CSP));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

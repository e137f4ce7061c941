//! By which names the sandbox may be called. It asks for no login, so a web page whose own name was
//! made to resolve to this machine (DNS rebinding) could else read and write here as its own origin.
//! Such a page needs a name that somebody can register; all other names pass.

use std::net::Ipv4Addr;

use axum::extract::{Request, State as Shared};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::HOST;
use http::uri::{Authority, Uri};
use serde_json::json;

use crate::Sandbox;
use crate::errors::json_response;

/// Endings that nobody can register: `localhost`, names of containers' hosts and of clusters, tests.
const PRIVATE_ENDINGS: [&str; 4] = [".localhost", ".internal", ".local", ".test"];

/// Refuses calls by a name that a stranger may own.
pub(crate) async fn known_name(
    Shared(sandbox): Shared<Sandbox>,
    request: Request,
    next: Next,
) -> Response {
    let public_host = sandbox.0.public_host.as_deref();
    match authority(request.uri(), request.headers()) {
        Some(called) if !is_known(&called, public_host) => refusal(&called),
        _ => next.run(request).await,
    }
}

/// Whom the call is for; browsers always say it.
fn authority(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str().to_owned());
    }
    let host = headers.get(HOST)?;
    Some(String::from_utf8_lossy(host.as_bytes()).into_owned())
}

fn is_known(called: &str, public_host: Option<&str>) -> bool {
    let Ok(authority) = called.parse::<Authority>() else { return called.is_empty() };
    let host = authority.host().to_ascii_lowercase();
    let name = host.trim_end_matches('.');
    !name.contains('.')
        || name.starts_with('[')
        || name.parse::<Ipv4Addr>().is_ok()
        || PRIVATE_ENDINGS.iter().any(|ending| name.ends_with(ending))
        || public_host.is_some_and(|known| known.trim_end_matches('.').eq_ignore_ascii_case(name))
}

fn refusal(called: &str) -> Response {
    let why = format!(
        "the sandbox is not known as {called}: call it by IP address, as localhost, by a name \
         without a dot or by the host of public_url; set public_url (WAYPOST_PUBLIC_URL) to an \
         address of this name if it is yours"
    );
    json_response(403, &json!({"error": {"message": why}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_strangers_may_own_are_not_known() {
        for (called, is_known_here) in [
            ("127.0.0.1:8081", true),
            ("192.168.1.7", true),
            ("[::1]:8081", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]:8081", true),
            ("localhost:8081", true),
            ("LOCALHOST", true),
            ("localhost.", true),
            ("ann.localhost:8081", true),
            ("waypost:8081", true),
            ("waypost_sandbox-1:8081", true),
            ("host.docker.internal:8081", true),
            ("waypost.default.svc.cluster.local:8081", true),
            ("waypost.test", true),
            ("wa.example.com", true),
            ("WA.example.com.:443", true),
            ("", true),
            ("evil.example:8081", false),
            ("x.wa.example.com", false),
            ("wa.example.com.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("notlocal.evil", false),
            ("a b", false),
        ] {
            assert_eq!(is_known(called, Some("wa.example.com")), is_known_here, "{called}");
        }
        assert!(!is_known("wa.example.com", None));
    }
}

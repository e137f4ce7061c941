//! A fault that tests can switch on to show that their checks can fail: a client that goes wherever
//! a redirect leads, with its token, as many libraries do unless told otherwise.

use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use waypost_planted::{Bug, is_planted};

use crate::body::OutgoingBody;

/// What a request's token is, where the bug is planted.
pub(crate) fn token_of<B>(request: &Request<B>) -> Option<HeaderValue> {
    let is_planted = is_planted(Bug::FollowRedirects);
    is_planted.then(|| request.headers().get(AUTHORIZATION).cloned()).flatten()
}

/// Where a planted bug leads: the reply of whoever a redirect names, else the one that came.
pub(crate) async fn follow<C>(
    client: &Client<C, OutgoingBody>,
    token: Option<HeaderValue>,
    response: Response<Incoming>,
) -> Response<Incoming>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let Some(token) = token.filter(|_| response.status().is_redirection()) else {
        return response;
    };
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(location) = location else { return response };
    let request = Request::get(location).header(AUTHORIZATION, token);
    let Ok(request) = request.body(OutgoingBody::bytes(bytes::Bytes::new())) else {
        return response;
    };
    client.request(request).await.unwrap_or(response)
}

//! Where webhooks go: subscriptions of the application and of accounts, verified by the handshake;
//! and the token by which the application speaks for itself.

use axum::response::Response;
use http::Method;
use serde_json::{Value, json};

use crate::Sandbox;
use crate::call::Call;
use crate::config::APP_ID;
use crate::errors::{Answer, GraphError, json_response};
use crate::webhooks;

fn not_verified(why: &str) -> GraphError {
    GraphError::parameter(format!("The callback was not verified: {why}")).with_subcode(2_200)
}

/// The token of the application itself.
fn app_token_of(sandbox: &Sandbox) -> String {
    format!("{APP_ID}|{}", sandbox.state().app.app_secret)
}

/// Whether a call about the application comes with its own token.
pub(crate) fn is_app_token(sandbox: &Sandbox, call: &Call, token: &str) -> bool {
    call.path.first().is_some_and(|first| first == APP_ID) && token == app_token_of(sandbox)
}

/// `GET /oauth/access_token`: id and secret of the application for its token.
pub(crate) fn app_token(sandbox: &Sandbox, call: &Call) -> Answer<Response> {
    if !call.is_get() {
        return Err(GraphError::wrong_method("GET"));
    }
    if call.query("grant_type") != Some("client_credentials") {
        return Err(GraphError::parameter("grant_type must be client_credentials."));
    }
    if call.query("client_id") != Some(APP_ID) {
        return Err(GraphError::new(101, "client_id is not this application's.").with_http(400));
    }
    if call.query("client_secret") != Some(sandbox.state().app.app_secret.as_str()) {
        return Err(GraphError::new(1, "client_secret is not the application's.").with_http(400));
    }
    let token = app_token_of(sandbox);
    Ok(json_response(200, &json!({"access_token": token, "token_type": "bearer"})))
}

/// `/{waba}/subscribed_apps`.
pub(crate) async fn of_account(sandbox: &Sandbox, mut call: Call, waba: u32) -> Answer<Response> {
    match call.method {
        Method::GET => {
            let state = sandbox.state();
            let this = state.waba(waba);
            let mut app = json!({"whatsapp_business_api_data":
                {"id": APP_ID, "name": "Waypost sandbox", "link": "https://example.com/"}});
            if let Some(url) = &this.webhook_override {
                app["override_callback_uri"] = url.as_ref().into();
            }
            let data = if this.subscribed { vec![app] } else { Vec::new() };
            return Ok(json_response(200, &json!({ "data": data })));
        }
        Method::POST => subscribe(sandbox, &mut call, waba).await?,
        Method::DELETE => {
            let mut state = sandbox.state();
            let this = state.waba_mut(waba);
            this.subscribed = false;
            this.webhook_override = None;
        }
        _ => return Err(GraphError::wrong_method("GET, POST, DELETE")),
    }
    Ok(json_response(200, &json!({"success": true})))
}

async fn subscribe(sandbox: &Sandbox, call: &mut Call, waba: u32) -> Answer<()> {
    let parameters = call.parameters().await?;
    let text = |name: &str| parameters.get(name).and_then(Value::as_str);
    let url = text("override_callback_uri");
    if let Some(url) = url {
        let token = match text("verify_token") {
            Some(token) => token.to_owned(),
            None => sandbox.state().app.verify_token.clone(),
        };
        webhooks::verify(sandbox, url, &token).await.map_err(|why| not_verified(&why))?;
    }
    let mut state = sandbox.state();
    let this = state.waba_mut(waba);
    this.subscribed = true;
    this.webhook_override = url.map(Into::into);
    Ok(())
}

/// `/{app}/subscriptions`.
pub(crate) async fn app(sandbox: &Sandbox, mut call: Call) -> Answer<Response> {
    match call.method {
        Method::GET => {
            let url = sandbox.state().app.url.clone();
            let data: Vec<Value> = url
                .map(|url| json!({"object": "whatsapp_business_account", "callback_url": url, "active": true}))
                .into_iter()
                .collect();
            return Ok(json_response(200, &json!({ "data": data })));
        }
        Method::POST => {
            let parameters = call.parameters().await?;
            let text = |name: &str| parameters.get(name).and_then(Value::as_str);
            if text("object") != Some("whatsapp_business_account") {
                return Err(GraphError::parameter("object must be whatsapp_business_account."));
            }
            let (Some(url), Some(token)) = (text("callback_url"), text("verify_token")) else {
                let details = "callback_url and verify_token are required.";
                return Err(GraphError::parameter(details));
            };
            webhooks::verify(sandbox, url, token).await.map_err(|why| not_verified(&why))?;
            let mut state = sandbox.state();
            state.app.url = Some(url.to_owned());
            state.app.verify_token = token.to_owned();
        }
        Method::DELETE => sandbox.state().app.url = None,
        _ => return Err(GraphError::wrong_method("GET, POST, DELETE")),
    }
    Ok(json_response(200, &json!({"success": true})))
}

//! The management API's routes and their description, made from the same handlers, and the page to
//! read and try it. What is the same for all operations is added here once.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use http::StatusCode;
use http::header::{
    CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{
    AdditionalProperties, Object, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::Config;

use super::{
    backups, broadcasts, callbacks, customers, events, examples, import, keys, media, messages,
    numbers, orgs, providers, queues, sessions, sweeps, templates, users, webhooks,
};
use crate::App;
use crate::problem::{Problem, ProblemBody};

const DOCUMENT_PATH: &str = "/waypost/v1/openapi.json";
/// What answers a repetition by its `Idempotency-Key`, by the names of the handlers.
const REPEATABLE: [&str; 12] = [
    "create_org",
    "create_user",
    "create_customer",
    "create_number",
    "create_key",
    "create_provider",
    "create_template",
    "create_broadcast",
    "create_webhook",
    "rotate_secret",
    "send_message",
    "upload_media",
];
/// The page runs only its own scripts and talks only to this installation.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' \
    'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(utoipa::OpenApi)]
#[openapi(
    components(schemas(ProblemBody)),
    tags(
        (name = "me", description = "What a key may do"),
        (name = "orgs", description = "Organisations: the tenants"),
        (name = "users", description = "In whose names messages are sent"),
        (name = "customers", description = "The people an organisation writes to"),
        (name = "numbers", description = "Sender numbers"),
        (name = "api-keys", description = "Credentials, shown once"),
        (name = "media-providers", description = "Credentials with which links are fetched"),
        (name = "templates", description = "What may be sent outside a window"),
        (name = "media", description = "Stored files"),
        (name = "messages", description = "Sending, and the log"),
        (name = "sessions", description = "Conversations and their 24-hour windows"),
        (name = "broadcasts", description = "One template for all customers"),
        (name = "webhooks", description = "Addresses to which events are posted"),
        (name = "events", description = "What happened, as lists and as a stream"),
        (name = "queues", description = "What waits, and for how long"),
        (name = "backups", description = "Copies of everything, and what a restored one holds back"),
    )
)]
struct Described;

/// The management API, its description and its page.
pub(crate) fn routes() -> Router<App> {
    let (router, _) = described().split_for_parts();
    router
        .route(DOCUMENT_PATH, get(show_document))
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route("/docs/", get(async || page_file("index.html")))
        .route("/docs/{*file}", get(show_page_file))
}

/// Handlers with their descriptions.
fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(orgs::get_me))
        .routes(routes!(orgs::create_org, orgs::list_orgs))
        .routes(routes!(orgs::get_org, orgs::update_org, orgs::delete_org))
        .merge(described_people())
        .merge(described_senders())
        .merge(described_contents())
        .merge(described_traffic())
        .merge(described_events())
        .merge(described_operations())
}

fn described_people() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(users::create_user, users::list_users))
        .routes(routes!(users::get_user, users::update_user, users::delete_user))
        .routes(routes!(customers::create_customer, customers::list_customers))
        .routes(routes!(import::import_customers))
        .routes(routes!(
            customers::get_customer,
            customers::update_customer,
            customers::delete_customer
        ))
}

fn described_senders() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(numbers::create_number, numbers::list_numbers))
        .routes(routes!(numbers::get_number, numbers::update_number, numbers::delete_number))
        .routes(routes!(numbers::register_number))
        .routes(routes!(numbers::subscribe_number))
        .routes(routes!(keys::create_key, keys::list_keys))
        .routes(routes!(keys::get_key, keys::update_key, keys::revoke_key))
}

fn described_contents() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(providers::create_provider, providers::list_providers))
        .routes(routes!(
            providers::get_provider,
            providers::update_provider,
            providers::delete_provider
        ))
        .routes(routes!(templates::create_template, templates::list_templates))
        .routes(routes!(templates::sync_templates))
        .routes(routes!(
            templates::get_template,
            templates::edit_template,
            templates::delete_template
        ))
        .routes(routes!(media::upload_media, media::list_media))
        .routes(routes!(media::get_media, media::delete_media))
}

fn described_traffic() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(messages::send_message, messages::list_messages))
        .routes(routes!(messages::get_message))
        .routes(routes!(messages::cancel_message))
        .routes(routes!(messages::retry_message))
        .routes(routes!(sweeps::retry_messages))
        .routes(routes!(sweeps::cancel_messages))
        .routes(routes!(sessions::list_sessions))
        .routes(routes!(sessions::get_session))
        .routes(routes!(broadcasts::create_broadcast, broadcasts::list_broadcasts))
        .routes(routes!(broadcasts::get_broadcast))
        .routes(routes!(broadcasts::pause_broadcast))
        .routes(routes!(broadcasts::resume_broadcast))
        .routes(routes!(broadcasts::cancel_broadcast))
}

fn described_events() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(webhooks::create_webhook, webhooks::list_webhooks))
        .routes(routes!(webhooks::get_webhook, webhooks::update_webhook, webhooks::delete_webhook))
        .routes(routes!(webhooks::rotate_secret))
        .routes(routes!(webhooks::test_webhook))
        .routes(routes!(webhooks::replay_webhook))
        .routes(routes!(callbacks::list_callbacks))
        .routes(routes!(callbacks::replay_callbacks))
        .routes(routes!(events::list_events))
        .routes(routes!(events::get_event))
}

fn described_operations() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(queues::show_queues))
        .routes(routes!(backups::make_backup))
        .routes(routes!(backups::confirm_backup))
        .routes(routes!(backups::show_held_back, backups::settle_held_back))
}

/// The description as JSON.
fn document() -> &'static Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let json = complete(described().split_for_parts().1).to_json();
        json.unwrap_or_default().into()
    })
}

/// Adds what every operation has.
fn complete(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Waypost")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Manage organisations and what belongs to them, send messages and read the log. \
             Authenticate with `Authorization: Bearer <key>`. Lists are read in parts with `limit` \
             and `after`; a refusal is `application/problem+json` with a stable `code`; a `POST` \
             that makes something takes `Idempotency-Key`.",
        ))
        .build();
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            describe_common(path, operation);
            offer_examples(operation);
        }
        if let Some(operation) = &mut item.post
            && operation.operation_id.as_deref().is_some_and(|it| REPEATABLE.contains(&it))
        {
            add_parameter(operation, idempotency_parameter());
        }
    }
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let schemes = &mut components.security_schemes;
    schemes.insert("key".to_owned(), SecurityScheme::Http(bearer).into());
    for (input, patch) in [
        ("OrgInput", "OrgPatch"),
        ("UserInput", "UserPatch"),
        ("CustomerInput", "CustomerPatch"),
        ("NumberInput", "NumberPatch"),
        ("KeyInput", "KeyPatch"),
        ("ProviderInput", "ProviderPatch"),
        ("WebhookInput", "WebhookPatch"),
    ] {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get(input) {
            let patch_schema = as_patch(object.clone());
            components.schemas.insert(patch.to_owned(), patch_schema.into());
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete];
    all.into_iter().flatten()
}

fn describe_common(path: &str, operation: &mut Operation) {
    // Only descriptions are read as Markdown.
    operation.summary = operation.summary.take().map(|summary| summary.replace('`', ""));
    let key: [&str; 0] = [];
    operation.security = Some(vec![SecurityRequirement::new("key", key)]);
    for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(text_schema()));
        add_parameter(operation, parameter.build());
    }
    let problem = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(problem)).build();
    let response = ResponseBuilder::new()
        .description("Refused: `code` says why")
        .content("application/problem+json", content);
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = meaning_of(status).to_owned();
        }
    }
    responses.insert("default".to_owned(), RefOr::T(response.build()));
}

/// The page begins what is tried out with an example; without one it would make up a body of all
/// fields, which nothing takes.
fn offer_examples(operation: &mut Operation) {
    let name = operation.operation_id.as_deref().unwrap_or_default();
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for (content_type, content) in &mut body.content {
        if let RefOr::T(content) = content {
            content.example = examples::of(name, content_type);
        }
    }
}

/// What a status says where a handler says nothing more.
fn meaning_of(status: &str) -> &'static str {
    let status = status.parse::<StatusCode>().ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or("Done")
}

fn add_parameter(operation: &mut Operation, parameter: Parameter) {
    let parameters = operation.parameters.get_or_insert_default();
    let same =
        |known: &RefOr<Parameter>| matches!(known, RefOr::T(known) if known.name == parameter.name);
    if !parameters.iter().any(same) {
        parameters.push(RefOr::T(parameter));
    }
}

fn idempotency_parameter() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("1 to 255 characters: the same key makes nothing twice"))
        .schema(Some(text_schema()))
        .build()
}

fn text_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

/// The schema of a change: nothing is required, and `null` clears.
fn as_patch(mut object: Object) -> Object {
    object.required.clear();
    object.description = Some("What is not named stays; `null` clears.".to_owned());
    for (name, property) in &mut object.properties {
        let RefOr::T(Schema::Object(property)) = property else { continue };
        allow_null(property);
        // The only map that can be read back; others are set whole.
        if name == "wire_offsets"
            && let Some(AdditionalProperties::RefOr(RefOr::T(Schema::Object(member)))) =
                property.additional_properties.as_deref_mut()
        {
            allow_null(member);
        }
    }
    object
}

fn allow_null(object: &mut Object) {
    if let SchemaType::Type(kind) = &object.schema_type {
        object.schema_type = SchemaType::Array(vec![kind.clone(), Type::Null]);
    }
}

async fn show_document() -> Response {
    ([(CONTENT_TYPE, "application/json")], document().clone()).into_response()
}

async fn show_page_file(file: Result<Path<String>, PathRejection>) -> Response {
    match file {
        Ok(Path(file)) => page_file(&file),
        Err(_) => Problem::not_found().into_response(),
    }
}

fn page_file(name: &str) -> Response {
    let config = Config::from(DOCUMENT_PATH)
        .validator_url("none")
        .persist_authorization(false)
        .try_it_out_enabled(true);
    let Ok(Some(file)) = utoipa_swagger_ui::serve(name, Arc::new(config)) else {
        return Problem::not_found().into_response();
    };
    let bytes = match name {
        "index.html" => in_own_name(&file.bytes),
        _ => file.bytes.into_owned(),
    };
    let mut response = (StatusCode::OK, bytes).into_response();
    let headers = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(&file.content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    if file.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The page with our title, and as wide as the screen that shows it.
fn in_own_name(html: &[u8]) -> Vec<u8> {
    let head = "<title>Waypost API</title>\n    \
                <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";
    String::from_utf8_lossy(html).replace("<title>Swagger UI</title>", head).into_bytes()
}

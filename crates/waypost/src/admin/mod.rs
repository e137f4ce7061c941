//! `waypost admin`: what an operator does to a running gateway, through its management API. It opens
//! no database: a second process on a data folder is refused.

mod api;
mod bodies;
mod callbacks;
mod follow;
mod import;
mod messages;
mod output;
mod queues;
#[cfg(test)]
mod tests;
mod upload;

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

pub(crate) use api::Api;
pub(crate) use output::{note, print_done};

use crate::cli::admin::{
    AdminArgs, BroadcastCommand, MediaCommand, OrgCommand, ProviderCommand, Resource,
    SessionCommand, TemplateCommand, UserCommand,
};
use crate::cli::customers::CustomerCommand;
use crate::cli::keys::{KeyCommand, KeyFields};
use crate::cli::numbers::{ConnectArgs, NumberCommand};
use crate::cli::pick::Page;
use api::id_of;
use output::{print_list, print_one};

/// Runs one command. `false`: it was done in part, and what failed was told.
///
/// # Errors
/// What the gateway refused, in its words, or why it was not reached.
pub(crate) async fn run(args: AdminArgs, data_dir: &Path) -> anyhow::Result<bool> {
    let as_json = args.gateway.json;
    let api = Api::new(&args.gateway, data_dir)?;
    // Organisations and queues are no organisation's.
    let org = match args.resource {
        Resource::Orgs(_) | Resource::Queues { .. } => String::new(),
        _ => api.org().await?,
    };
    let desk = &Desk { api: &api, org, as_json };
    match args.resource {
        Resource::Orgs(command) => orgs(&api, command, as_json).await?,
        Resource::Users(command) => users(desk, command).await?,
        Resource::Customers(command) => return customers(desk, command).await,
        Resource::Numbers(command) => numbers(desk, command).await?,
        Resource::Keys(command) => keys(desk, command).await?,
        Resource::Media(command) => media(desk, command).await?,
        Resource::Providers(command) => providers(desk, command).await?,
        Resource::Templates(command) => templates(desk, command).await?,
        Resource::Messages(command) => messages::run(desk, command).await?,
        Resource::Broadcasts(command) => broadcasts(desk, command).await?,
        Resource::Sessions(command) => sessions(desk, command).await?,
        Resource::Webhooks(command) => return callbacks::webhooks(desk, command).await,
        Resource::Callbacks(command) => callbacks::callbacks(desk, command).await?,
        Resource::Events(command) => callbacks::events(desk, command).await?,
        Resource::Queues { command } => queues::queues(&api, command, as_json).await?,
    }
    Ok(true)
}

/// One organisation's resources, and how answers are printed.
struct Desk<'a> {
    api: &'a Api,
    org: String,
    as_json: bool,
}

impl Desk<'_> {
    fn at<'p>(&'p self, rest: &[&'p str]) -> Vec<&'p str> {
        ["orgs", self.org.as_str()].into_iter().chain(rest.iter().copied()).collect()
    }

    async fn list(&self, kind: &str, page: &Page, columns: &[&str]) -> anyhow::Result<()> {
        self.search(kind, &[], page, columns).await
    }

    async fn search(
        &self,
        kind: &str,
        filters: &[(&str, Option<String>)],
        page: &Page,
        columns: &[&str],
    ) -> anyhow::Result<()> {
        let given: Vec<_> = filters
            .iter()
            .filter_map(|(name, value)| value.as_deref().map(|value| (*name, value)))
            .collect();
        let after = page.after.as_deref();
        let listed = self.api.list(&self.at(&[kind]), &given, page.limit, after).await?;
        print_list(&listed, columns, self.as_json);
        Ok(())
    }

    async fn show(&self, kind: &str, id: &str) -> anyhow::Result<()> {
        print_one(&self.api.get(&self.at(&[kind, id])).await?, self.as_json);
        Ok(())
    }

    async fn create(&self, kind: &str, body: &Value) -> anyhow::Result<()> {
        print_one(&self.api.post(&self.at(&[kind]), Some(body)).await?, self.as_json);
        Ok(())
    }

    async fn update(&self, kind: &str, id: &str, change: &Value) -> anyhow::Result<()> {
        print_one(&self.api.patch(&self.at(&[kind, id]), change).await?, self.as_json);
        Ok(())
    }

    async fn delete(&self, kind: &str, id: &str) -> anyhow::Result<()> {
        self.api.delete(&self.at(&[kind, id])).await?;
        print_done(&format!("{id} is gone."), &json!({"id": id, "deleted": true}), self.as_json);
        Ok(())
    }
}

async fn orgs(api: &Api, command: OrgCommand, as_json: bool) -> anyhow::Result<()> {
    match command {
        OrgCommand::Create { name, id, fields } => {
            let body = bodies::org(Some(name), id, fields)?;
            print_one(&api.post(&["orgs"], Some(&body)).await?, as_json);
        }
        OrgCommand::List(page) => {
            let columns = ["id", "name", "time_zone", "window_policy", "created_at"];
            print_list(
                &api.list(&["orgs"], &[], page.limit, page.after.as_deref()).await?,
                &columns,
                as_json,
            );
        }
        OrgCommand::Get(which) => print_one(&api.get(&["orgs", &which.id]).await?, as_json),
        OrgCommand::Update { id, name, fields, clear } => {
            let change = bodies::clearing(bodies::org(name, None, fields)?, clear)?;
            let change = bodies::change(change)?;
            print_one(&api.patch(&["orgs", &id], &change).await?, as_json);
        }
        OrgCommand::Delete(which) => {
            api.delete(&["orgs", &which.id]).await?;
            let told = format!("{} is gone.", which.id);
            print_done(&told, &json!({"id": which.id, "deleted": true}), as_json);
        }
    }
    Ok(())
}

async fn users(desk: &Desk<'_>, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Create { id, name } => desk.create("users", &bodies::user(name, id)).await,
        UserCommand::List(page) => desk.list("users", &page, &["id", "name", "created_at"]).await,
        UserCommand::Get(which) => desk.show("users", &which.id).await,
        UserCommand::Update { id, name } => {
            desk.update("users", &id, &bodies::user(Some(name), None)).await
        }
        UserCommand::Delete(which) => desk.delete("users", &which.id).await,
    }
}

/// `false`: an import was done in part.
async fn customers(desk: &Desk<'_>, command: CustomerCommand) -> anyhow::Result<bool> {
    match command {
        CustomerCommand::Create { phone, id, fields } => {
            desk.create("customers", &bodies::customer(Some(phone), id, fields)).await?;
        }
        CustomerCommand::List { page, phone, tag } => {
            let filters = [("phone", phone), ("tag", tag)];
            let columns = ["id", "phone", "name", "active", "tags", "last_inbound_at"];
            desk.search("customers", &filters, &page, &columns).await?;
        }
        CustomerCommand::Get(which) => desk.show("customers", &which.id).await?,
        CustomerCommand::Update { id, phone, fields } => {
            let change = bodies::change(bodies::customer(phone, None, fields))?;
            desk.update("customers", &id, &change).await?;
        }
        CustomerCommand::Delete(which) => desk.delete("customers", &which.id).await?,
        CustomerCommand::Import { file, format } => {
            return import::run(desk.api, &desk.org, &file, format, desk.as_json).await;
        }
    }
    Ok(true)
}

async fn numbers(desk: &Desk<'_>, command: NumberCommand) -> anyhow::Result<()> {
    match command {
        NumberCommand::Add { display_phone, phone_number_id, waba_id, id, fields, connect } => {
            let mut body = bodies::number(fields)?;
            body["display_phone"] = json!(display_phone);
            body["phone_number_id"] = json!(phone_number_id);
            body["waba_id"] = json!(waba_id);
            if let Some(id) = id {
                body["id"] = json!(id);
            }
            let added = desk.api.post(&desk.at(&["numbers"]), Some(&body)).await?;
            let id = id_of(&added)?.to_owned();
            connect_number(desk, &id, &connect).await.with_context(|| {
                format!("{id} was added; go on with: waypost admin numbers update {id} --register PIN --subscribe")
            })?;
            desk.show("numbers", &id).await
        }
        NumberCommand::List(page) => {
            let columns = ["id", "display_phone", "phone_number_id", "waba_id", "registered"];
            desk.list("numbers", &page, &columns).await
        }
        NumberCommand::Get(which) => desk.show("numbers", &which.id).await,
        NumberCommand::Update { id, fields, clear, connect } => {
            let change = bodies::clearing(bodies::number(fields)?, clear)?;
            let connects = connect.subscribe || connect.register.is_some();
            if !connects || change.as_object().is_some_and(|fields| !fields.is_empty()) {
                desk.api.patch(&desk.at(&["numbers", &id]), &bodies::change(change)?).await?;
            }
            connect_number(desk, &id, &connect).await?;
            desk.show("numbers", &id).await
        }
        NumberCommand::Delete(which) => desk.delete("numbers", &which.id).await,
    }
}

async fn connect_number(desk: &Desk<'_>, id: &str, connect: &ConnectArgs) -> anyhow::Result<()> {
    if let Some(pin) = &connect.register {
        let path = desk.at(&["numbers", id, "register"]);
        let registered = desk.api.post(&path, Some(&json!({"pin": pin}))).await;
        registered.context("the number was not registered")?;
    }
    if connect.subscribe {
        let path = desk.at(&["numbers", id, "subscribe"]);
        let subscribed = desk.api.post(&path, None).await;
        subscribed.context("its events were not subscribed to")?;
    }
    Ok(())
}

async fn keys(desk: &Desk<'_>, command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create(fields) => make_key(desk, fields, None).await,
        KeyCommand::Import(fields) => {
            let secret = bodies::read_secret(Path::new("-"))?;
            make_key(desk, fields, Some(secret)).await
        }
        KeyCommand::List(page) => {
            let columns =
                ["id", "name", "scopes", "sends_as", "disabled", "expires_at", "revoked_at"];
            desk.list("api-keys", &page, &columns).await
        }
        KeyCommand::Update { id, fields } => {
            let change = bodies::change(bodies::key_change(fields)?)?;
            desk.update("api-keys", &id, &change).await
        }
        KeyCommand::Revoke(which) => {
            desk.api.delete(&desk.at(&["api-keys", &which.id])).await?;
            let told = format!("{} opens nothing any more.", which.id);
            print_done(&told, &json!({"id": which.id, "revoked": true}), desk.as_json);
            Ok(())
        }
    }
}

async fn make_key(
    desk: &Desk<'_>,
    fields: KeyFields,
    secret: Option<String>,
) -> anyhow::Result<()> {
    let body = bodies::key(fields, secret)?;
    let made = desk.api.post(&desk.at(&["api-keys"]), Some(&body)).await?;
    print_one(&made, desk.as_json);
    if !desk.as_json && made["secret"].is_string() {
        note("Keep the secret now: it is not shown again.");
    }
    Ok(())
}

async fn media(desk: &Desk<'_>, command: MediaCommand) -> anyhow::Result<()> {
    match command {
        MediaCommand::Upload { file, mime_type } => {
            print_one(&upload::run(desk, &file, mime_type).await?, desk.as_json);
            Ok(())
        }
        MediaCommand::List(page) => {
            let columns = ["id", "mime_type", "filename", "size", "url", "expires_at"];
            desk.list("media", &page, &columns).await
        }
        MediaCommand::Get(which) => desk.show("media", &which.id).await,
        MediaCommand::Delete(which) => desk.delete("media", &which.id).await,
    }
}

async fn providers(desk: &Desk<'_>, command: ProviderCommand) -> anyhow::Result<()> {
    match command {
        ProviderCommand::Add { name, scheme, hosts } => {
            let secret = bodies::read_secret(Path::new("-"))?;
            desk.create("media-providers", &bodies::provider(&name, &scheme, &hosts, &secret)).await
        }
        ProviderCommand::List(page) => {
            let columns = ["name", "scheme", "allowed_hosts", "created_at"];
            desk.list("media-providers", &page, &columns).await
        }
        ProviderCommand::Get(which) => desk.show("media-providers", &which.id).await,
        ProviderCommand::Delete(which) => desk.delete("media-providers", &which.id).await,
    }
}

async fn templates(desk: &Desk<'_>, command: TemplateCommand) -> anyhow::Result<()> {
    let columns = ["name", "language", "status", "category", "waba_id"];
    match command {
        TemplateCommand::List(page) => desk.list("templates", &page, &columns).await,
        TemplateCommand::Get(which) => desk.show("templates", &which.id).await,
        TemplateCommand::Sync => {
            let answer = desk.api.post(&desk.at(&["templates", "sync"]), None).await?;
            print_one(&answer, desk.as_json);
            Ok(())
        }
    }
}

async fn broadcasts(desk: &Desk<'_>, command: BroadcastCommand) -> anyhow::Result<()> {
    match command {
        BroadcastCommand::List(page) => {
            let columns = ["id", "template", "state", "audience", "created_at"];
            desk.list("broadcasts", &page, &columns).await
        }
        BroadcastCommand::Get(which) => desk.show("broadcasts", &which.id).await,
        BroadcastCommand::Pause(which) => steer(desk, &which.id, "pause").await,
        BroadcastCommand::Resume(which) => steer(desk, &which.id, "resume").await,
        BroadcastCommand::Cancel(which) => steer(desk, &which.id, "cancel").await,
    }
}

async fn steer(desk: &Desk<'_>, id: &str, what: &str) -> anyhow::Result<()> {
    let answer = desk.api.post(&desk.at(&["broadcasts", id, what]), None).await?;
    print_one(&answer, desk.as_json);
    Ok(())
}

async fn sessions(desk: &Desk<'_>, command: SessionCommand) -> anyhow::Result<()> {
    let SessionCommand::List(page) = command;
    let columns = ["phone", "customer_id", "number_id", "open", "open_until"];
    desk.list("sessions", &page, &columns).await
}

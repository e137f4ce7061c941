//! Organisations and what belongs to them, templates, and the installation's settings: JSON bodies
//! beside the columns that must be unique.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Params, params};
use serde::de::DeserializeOwned;
use waypost_domain::callback::Webhook;
use waypost_domain::directory::{ApiKey, MediaProvider, Number, Org, User};
use waypost_domain::template::Template;
use waypost_domain::{NumberId, OrgId};
use waypost_engine::ports::{
    DirectorySnapshot, DirectoryStore, Entry, EntryKey, PutMode, StoreError, StoreResult,
    TemplateStore,
};

use crate::SqliteStore;
use crate::callbacks;
use crate::fault::Done;
use crate::refs;
use crate::rows::{from_json, to_json};
use crate::writer::Work;

#[async_trait]
impl DirectoryStore for SqliteStore {
    async fn load_directory(&self) -> StoreResult<DirectorySnapshot> {
        self.readers.list(load).await
    }

    async fn put_entry(&self, entry: Entry, mode: PutMode) -> StoreResult<()> {
        self.writer.run(Work::Known, move |conn| put(conn, &entry, mode)).await
    }

    async fn remove_entry(&self, key: EntryKey) -> StoreResult<bool> {
        if let EntryKey::Org(id) = key {
            let unlink = move |conn: &Connection| unlink_org(conn, &id);
            return self.writer.run(Work::Known, unlink).await;
        }
        let webhook = match &key {
            EntryKey::Webhook(org, id) => Some((org.clone(), id.clone())),
            _ => None,
        };
        let removed = self.writer.run(Work::Known, move |conn| remove(conn, &key)).await?;
        if let Some((org, id)) = webhook.filter(|_| removed) {
            let forget = move |conn: &Connection| callbacks::forget_some(conn, &org, &id);
            while self.writer.run(Work::Known, forget.clone()).await? {}
        }
        Ok(removed)
    }

    async fn removed_numbers_in_use(&self) -> StoreResult<Vec<NumberId>> {
        self.readers.list(removed_numbers_in_use).await
    }

    async fn setting(&self, name: &str) -> StoreResult<Option<String>> {
        self.readers.look_up(|conn| {
            let mut select = conn.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
            Ok(select.query_row([name], |row| row.get(0)).optional()?)
        })
    }

    async fn put_setting(&self, name: &str, value: &str) -> StoreResult<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.writer
            .run(Work::Known, move |conn| {
                execute(
                    conn,
                    "INSERT INTO settings (name, value) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    params![name, value],
                )?;
                Ok(())
            })
            .await
    }
}

#[async_trait]
impl TemplateStore for SqliteStore {
    async fn replace_templates(&self, waba_id: &str, templates: Vec<Template>) -> StoreResult<()> {
        let waba_id = waba_id.to_owned();
        self.writer
            .run(Work::Known, move |conn| replace_templates(conn, &waba_id, &templates))
            .await
    }

    async fn put_template(&self, template: Template) -> StoreResult<()> {
        self.writer.run(Work::Known, move |conn| put_template(conn, &template)).await
    }

    async fn remove_template(
        &self,
        waba_id: &str,
        name: &str,
        language: Option<&str>,
    ) -> StoreResult<()> {
        let (waba_id, name) = (waba_id.to_owned(), name.to_owned());
        let language = language.map(str::to_owned);
        self.writer
            .run(Work::Known, move |conn| {
                execute(
                    conn,
                    "DELETE FROM templates
                     WHERE waba_id = ?1 AND name = ?2 AND (?3 IS NULL OR language = ?3)",
                    params![waba_id, name, language],
                )?;
                Ok(())
            })
            .await
    }
}

fn execute(conn: &Connection, sql: &str, params: impl Params) -> Done<usize> {
    Ok(conn.prepare_cached(sql)?.execute(params)?)
}

fn load(conn: &Connection) -> Done<DirectorySnapshot> {
    let snapshot = conn.unchecked_transaction()?;
    let mut numbers: Vec<Number> =
        bodies(&snapshot, "SELECT body FROM numbers WHERE body IS NOT NULL ORDER BY ref")?;
    // A number that was removed and added again has its old place in the table.
    numbers.sort_by_key(|number| number.created_at);
    Ok(DirectorySnapshot {
        orgs: bodies(&snapshot, "SELECT body FROM orgs ORDER BY ref")?,
        users: bodies(&snapshot, "SELECT body FROM users ORDER BY seq")?,
        numbers,
        api_keys: bodies(&snapshot, "SELECT body FROM api_keys ORDER BY seq")?,
        providers: bodies(&snapshot, "SELECT body FROM providers ORDER BY seq")?,
        webhooks: bodies(&snapshot, "SELECT body FROM webhooks ORDER BY seq")?,
        templates: bodies(&snapshot, "SELECT body FROM templates ORDER BY seq")?,
    })
}

fn bodies<T: DeserializeOwned>(conn: &Connection, sql: &str) -> Done<Vec<T>> {
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query([])?;
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        values.push(from_json(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?);
    }
    Ok(values)
}

pub(crate) fn put(conn: &Connection, entry: &Entry, mode: PutMode) -> Done<()> {
    let changed = match (entry, mode) {
        (Entry::Org(org), _) => put_org(conn, org, mode)?,
        (Entry::User(user), _) => put_user(conn, user, mode)?,
        (Entry::Number(number), PutMode::Create) => create_number(conn, number)?,
        (Entry::Number(number), PutMode::Replace) => replace_number(conn, number)?,
        (Entry::ApiKey(key), _) => put_api_key(conn, key, mode)?,
        (Entry::Provider(provider), _) => put_provider(conn, provider, mode)?,
        (Entry::Webhook(webhook), _) => put_webhook(conn, webhook, mode)?,
    };
    if changed == 0 {
        return Err(StoreError::NotFound.into());
    }
    Ok(())
}

fn put_org(conn: &Connection, org: &Org, mode: PutMode) -> Done<usize> {
    let sql = match mode {
        PutMode::Create => "INSERT INTO orgs (id, body) VALUES (?1, ?2)",
        PutMode::Replace => "UPDATE orgs SET body = ?2 WHERE id = ?1",
    };
    execute(conn, sql, params![org.id.as_str(), to_json(org)?])
}

fn put_user(conn: &Connection, user: &User, mode: PutMode) -> Done<usize> {
    let sql = match mode {
        PutMode::Create => {
            "INSERT INTO users (org, id, body)
             VALUES ((SELECT ref FROM orgs WHERE id = ?1), ?2, ?3)"
        }
        PutMode::Replace => {
            "UPDATE users SET body = ?3
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2"
        }
    };
    execute(conn, sql, params![user.org_id.as_str(), user.id.as_str(), to_json(user)?])
}

/// A removed number's row is taken into use again.
fn create_number(conn: &Connection, number: &Number) -> Done<usize> {
    let org = known_org(conn, &number.org_id)?;
    let created = execute(
        conn,
        "INSERT INTO numbers (id, org, phone_number_id, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE
             SET org = excluded.org, phone_number_id = excluded.phone_number_id,
                 body = excluded.body
             WHERE numbers.body IS NULL",
        params![number.id.as_str(), org, number.phone_number_id, to_json(number)?],
    )?;
    if created == 0 {
        return Err(StoreError::Conflict("id").into());
    }
    Ok(created)
}

fn replace_number(conn: &Connection, number: &Number) -> Done<usize> {
    let org = known_org(conn, &number.org_id)?;
    execute(
        conn,
        "UPDATE numbers SET org = ?2, phone_number_id = ?3, body = ?4
         WHERE id = ?1 AND body IS NOT NULL",
        params![number.id.as_str(), org, number.phone_number_id, to_json(number)?],
    )
}

fn put_api_key(conn: &Connection, key: &ApiKey, mode: PutMode) -> Done<usize> {
    let org = key.org_id.as_ref().map(|id| known_org(conn, id)).transpose()?;
    let sql = match mode {
        PutMode::Create => {
            "INSERT INTO api_keys (id, org, secret_sha256, body) VALUES (?1, ?2, ?3, ?4)"
        }
        PutMode::Replace => {
            "UPDATE api_keys SET org = ?2, secret_sha256 = ?3, body = ?4 WHERE id = ?1"
        }
    };
    execute(conn, sql, params![key.id.as_str(), org, key.secret_sha256, to_json(key)?])
}

fn put_provider(conn: &Connection, provider: &MediaProvider, mode: PutMode) -> Done<usize> {
    let sql = match mode {
        PutMode::Create => {
            "INSERT INTO providers (org, id, body)
             VALUES ((SELECT ref FROM orgs WHERE id = ?1), ?2, ?3)"
        }
        PutMode::Replace => {
            "UPDATE providers SET body = ?3
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2"
        }
    };
    let body = to_json(provider)?;
    execute(conn, sql, params![provider.org_id.as_str(), provider.id.as_str(), body])
}

fn put_webhook(conn: &Connection, webhook: &Webhook, mode: PutMode) -> Done<usize> {
    let sql = match mode {
        PutMode::Create => {
            "INSERT INTO webhooks (org, id, body)
             VALUES ((SELECT ref FROM orgs WHERE id = ?1), ?2, ?3)"
        }
        PutMode::Replace => {
            "UPDATE webhooks SET body = ?3
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2"
        }
    };
    let body = to_json(webhook)?;
    execute(conn, sql, params![webhook.org_id.as_str(), webhook.id.as_str(), body])
}

fn known_org(conn: &Connection, id: &OrgId) -> Done<i64> {
    find_org(conn, id)?.ok_or_else(|| StoreError::NotFound.into())
}

fn find_org(conn: &Connection, id: &OrgId) -> Done<Option<i64>> {
    let mut select = conn.prepare_cached("SELECT ref FROM orgs WHERE id = ?1")?;
    Ok(select.query_row([id.as_str()], |row| row.get(0)).optional()?)
}

fn remove(conn: &Connection, key: &EntryKey) -> Done<bool> {
    let removed = match key {
        EntryKey::Org(_) => 0,
        EntryKey::User(org, id) => execute(
            conn,
            "DELETE FROM users WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2",
            params![org.as_str(), id.as_str()],
        )?,
        EntryKey::Number(id) => return remove_number(conn, id),
        EntryKey::ApiKey(id) => execute(conn, "DELETE FROM api_keys WHERE id = ?1", [id.as_str()])?,
        EntryKey::Provider(org, id) => execute(
            conn,
            "DELETE FROM providers WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2",
            params![org.as_str(), id.as_str()],
        )?,
        EntryKey::Webhook(org, id) => execute(
            conn,
            "DELETE FROM webhooks WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2",
            params![org.as_str(), id.as_str()],
        )?,
    };
    Ok(removed > 0)
}

/// Removes a number; its row stays, for the log names it.
fn remove_number(conn: &Connection, id: &NumberId) -> Done<bool> {
    let Some(number) = refs::number(conn, id)? else { return Ok(false) };
    if has_messages_to_send(conn, number)? {
        return Err(StoreError::Conflict("messages").into());
    }
    execute(conn, "DELETE FROM upstream_copies WHERE number = ?1", [number])?;
    let removed = execute(
        conn,
        "UPDATE numbers SET org = NULL, phone_number_id = NULL, body = NULL
         WHERE ref = ?1 AND body IS NOT NULL",
        [number],
    )?;
    Ok(removed > 0)
}

/// Whether messages of a number wait, are on their way (and may have to wait again), or are of unknown
/// outcome and to be sent again.
fn has_messages_to_send(conn: &Connection, number: i64) -> Done<bool> {
    let mut select = conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM whole_queue WHERE number = ?1)
             OR EXISTS (SELECT 1 FROM broadcasts b WHERE b.number = ?1 AND b.waiting = 1 AND EXISTS
                 (SELECT 1 FROM messages m WHERE m.broadcast = b.ref AND m.status = 0))
             OR EXISTS (SELECT 1 FROM messages INDEXED BY messages_not_sent
                 WHERE attempt_outcome <> 1 AND attempt_outcome = 0 AND number = ?1)
             OR EXISTS (SELECT 1 FROM messages INDEXED BY messages_to_resend
                 WHERE resend_at IS NOT NULL AND number = ?1)",
    )?;
    Ok(select.query_row([number], |row| row.get(0))?)
}

fn removed_numbers_in_use(conn: &Connection) -> Done<Vec<NumberId>> {
    let snapshot = conn.unchecked_transaction()?;
    let mut select = snapshot.prepare_cached("SELECT ref, id FROM numbers WHERE body IS NULL")?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let mut in_use = Vec::new();
    for row in rows {
        let (number, id): (i64, String) = row?;
        if has_messages_to_send(&snapshot, number)? {
            in_use.push(NumberId::new(id));
        }
    }
    Ok(in_use)
}

/// Removes an organisation from the directory. Nothing of it is found from then on, because every
/// other row is read together with the organisation's.
fn unlink_org(conn: &Connection, id: &OrgId) -> Done<bool> {
    let Some(org) = find_org(conn, id)? else { return Ok(false) };
    execute(conn, "DELETE FROM orgs WHERE ref = ?1", [org])?;
    execute(conn, "DELETE FROM users WHERE org = ?1", [org])?;
    execute(conn, "DELETE FROM api_keys WHERE org = ?1", [org])?;
    execute(conn, "DELETE FROM providers WHERE org = ?1", [org])?;
    execute(conn, "DELETE FROM webhooks WHERE org = ?1", [org])?;
    execute(
        conn,
        "DELETE FROM upstream_copies WHERE number IN (SELECT ref FROM numbers WHERE org = ?1)",
        [org],
    )?;
    execute(
        conn,
        "UPDATE numbers SET org = NULL, phone_number_id = NULL, body = NULL WHERE org = ?1",
        [org],
    )?;
    execute(conn, "INSERT INTO removed_orgs (org) VALUES (?1)", [org])?;
    Ok(true)
}

fn replace_templates(conn: &Connection, waba_id: &str, templates: &[Template]) -> Done<()> {
    let keys: Vec<(String, String)> = {
        let mut select =
            conn.prepare_cached("SELECT name, language FROM templates WHERE waba_id = ?1")?;
        let keys = select.query_map([waba_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        keys.collect::<rusqlite::Result<_>>()?
    };
    for (name, language) in keys {
        let kept = |template: &Template| template.name == name && template.language == language;
        if !templates.iter().any(kept) {
            execute(
                conn,
                "DELETE FROM templates WHERE waba_id = ?1 AND name = ?2 AND language = ?3",
                params![waba_id, name, language],
            )?;
        }
    }
    templates.iter().try_for_each(|template| put_template(conn, template))
}

fn put_template(conn: &Connection, template: &Template) -> Done<()> {
    execute(
        conn,
        "INSERT INTO templates (waba_id, name, language, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (waba_id, name, language) DO UPDATE SET body = excluded.body",
        params![template.waba_id, template.name, template.language, to_json(template)?],
    )?;
    Ok(())
}

//! Forms under the installation's own numbers.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use waypost_domain::content::FlowName;
use waypost_domain::manage::FlowRecord;
use waypost_domain::{NumberId, OrgId, Timestamp};
use waypost_engine::ports::{FlowStore, NewFlow, StoreError, StoreResult};

use crate::SqliteStore;
use crate::fault::Done;
use crate::rows::{MAX_PAGE, from_json, to_json};
use crate::writer::Work;

macro_rules! select_flow {
    ($rest:literal) => {
        concat!(
            "SELECT f.id, o.id, n.id, f.upstream_id, f.name, f.status, f.categories, f.created_at,
                f.updated_at
             FROM flows f JOIN orgs o ON o.ref = f.org JOIN numbers n ON n.ref = f.number ",
            $rest
        )
    };
}

#[async_trait]
impl FlowStore for SqliteStore {
    async fn record_flow(&self, flow: NewFlow, now: Timestamp) -> StoreResult<FlowRecord> {
        self.writer.run(Work::Known, move |conn| record(conn, &flow, now)).await
    }

    async fn flow(&self, org_id: &OrgId, name: &FlowName) -> StoreResult<Option<FlowRecord>> {
        self.readers.look_up(|conn| find(conn, org_id, name))
    }

    async fn flows(
        &self,
        org_id: &OrgId,
        number_id: Option<&NumberId>,
        limit: u32,
    ) -> StoreResult<Vec<FlowRecord>> {
        let (org_id, number_id) = (org_id.clone(), number_id.cloned());
        self.readers.list(move |conn| list(conn, &org_id, number_id.as_ref(), limit)).await
    }
}

fn record(conn: &Connection, flow: &NewFlow, now: Timestamp) -> Done<FlowRecord> {
    let shown = &flow.shown;
    let known = by_upstream_id(conn, &flow.org_id, &shown.id)?;
    if let Some(known) = known {
        let same = known.number_id == flow.number_id
            && known.name == shown.name
            && known.status == shown.status
            && known.categories == shown.categories;
        if same {
            return Ok(known);
        }
    }
    conn.prepare_cached(
        "INSERT INTO flows (org, number, upstream_id, name, status, categories, created_at,
             updated_at)
         VALUES ((SELECT ref FROM orgs WHERE id = ?1),
             (SELECT ref FROM numbers WHERE id = ?2 AND body IS NOT NULL), ?3, ?4, ?5, ?6, ?7, ?7)
         ON CONFLICT (org, upstream_id) DO UPDATE
             SET number = excluded.number, name = excluded.name, status = excluded.status,
                 categories = excluded.categories, updated_at = excluded.updated_at",
    )?
    .execute(params![
        flow.org_id.as_str(),
        flow.number_id.as_str(),
        shown.id,
        shown.name,
        shown.status,
        to_json(&shown.categories)?,
        now.0,
    ])?;
    let recorded = by_upstream_id(conn, &flow.org_id, &shown.id)?;
    recorded.ok_or_else(|| StoreError::NotFound.into())
}

fn find(conn: &Connection, org: &OrgId, name: &FlowName) -> Done<Option<FlowRecord>> {
    match name {
        FlowName::Local(id) => match by_id(conn, org, *id)? {
            None => by_upstream_id(conn, org, &id.to_string()),
            found => Ok(found),
        },
        FlowName::Id(id) => match (by_upstream_id(conn, org, id)?, id.parse()) {
            (None, Ok(id)) => by_id(conn, org, id),
            (found, _) => Ok(found),
        },
        FlowName::Name(name) => by_name(conn, org, name),
    }
}

fn by_id(conn: &Connection, org: &OrgId, id: i64) -> Done<Option<FlowRecord>> {
    let mut select = conn.prepare_cached(select_flow!("WHERE o.id = ?1 AND f.id = ?2"))?;
    let found = select.query_row(params![org.as_str(), id], StoredFlow::from_row).optional()?;
    found.map(StoredFlow::into_flow).transpose()
}

fn by_upstream_id(conn: &Connection, org: &OrgId, id: &str) -> Done<Option<FlowRecord>> {
    let mut select = conn.prepare_cached(select_flow!("WHERE o.id = ?1 AND f.upstream_id = ?2"))?;
    let found = select.query_row(params![org.as_str(), id], StoredFlow::from_row).optional()?;
    found.map(StoredFlow::into_flow).transpose()
}

fn by_name(conn: &Connection, org: &OrgId, name: &str) -> Done<Option<FlowRecord>> {
    let mut select = conn.prepare_cached(select_flow!(
        "WHERE o.id = ?1 AND f.name = ?2 ORDER BY f.id DESC LIMIT 1"
    ))?;
    let found = select.query_row(params![org.as_str(), name], StoredFlow::from_row).optional()?;
    found.map(StoredFlow::into_flow).transpose()
}

fn list(
    conn: &Connection,
    org: &OrgId,
    number: Option<&NumberId>,
    limit: u32,
) -> Done<Vec<FlowRecord>> {
    let mut sql = select_flow!("WHERE o.id = ?").to_owned();
    let mut values: Vec<Value> = vec![org.as_str().to_owned().into()];
    if let Some(number) = number {
        sql.push_str(" AND n.id = ?");
        values.push(number.as_str().to_owned().into());
    }
    sql.push_str(" ORDER BY f.id LIMIT ?");
    values.push(i64::from(limit.min(MAX_PAGE)).into());
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(StoredFlow::from_row(row)?.into_flow()?);
    }
    Ok(found)
}

/// A form as its row says.
struct StoredFlow {
    id: i64,
    org: String,
    number: String,
    upstream_id: String,
    name: String,
    status: String,
    categories: String,
    created_at: i64,
    updated_at: i64,
}

impl StoredFlow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            org: row.get(1)?,
            number: row.get(2)?,
            upstream_id: row.get(3)?,
            name: row.get(4)?,
            status: row.get(5)?,
            categories: row.get(6)?,
            created_at: row.get(7)?,
            updated_at: row.get(8)?,
        })
    }

    fn into_flow(self) -> Done<FlowRecord> {
        Ok(FlowRecord {
            id: self.id,
            org_id: OrgId::new(self.org),
            number_id: NumberId::new(self.number),
            upstream_id: self.upstream_id,
            name: self.name,
            status: self.status,
            categories: from_json(&self.categories)?,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

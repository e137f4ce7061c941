//! Records of media. The bytes are elsewhere.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use waypost_domain::media::MimeType;
use waypost_domain::{MediaId, NumberId, OrgId, Timestamp};
use waypost_engine::ports::{
    Accepted, IdempotencyClaim, IdempotentTarget, MediaRecord, MediaStore, Page, Paged, Sha256Hex,
    StoreResult, UpstreamCopy,
};

use crate::SqliteStore;
use crate::fault::{Done, corrupt};
use crate::idempotency;
use crate::rows::{paged, rows_for};
use crate::writer::Work;

macro_rules! select_media {
    ($rest:literal) => {
        concat!(
            "SELECT f.seq, f.id, o.id, f.sha256, f.size, f.mime_type, f.filename, f.public_name,
                f.created_at, f.expires_at
             FROM media f JOIN orgs o ON o.ref = f.org ",
            $rest
        )
    };
}

#[async_trait]
impl MediaStore for SqliteStore {
    async fn add_media(
        &self,
        record: MediaRecord,
        claim: Option<IdempotencyClaim>,
    ) -> StoreResult<Accepted> {
        self.writer.run(Work::New, move |conn| add(conn, &record, claim.as_ref())).await
    }

    async fn media(
        &self,
        org_id: &OrgId,
        id: &MediaId,
        now: Timestamp,
    ) -> StoreResult<Option<MediaRecord>> {
        self.readers.look_up(|conn| {
            let found = find(conn, org_id, id)?.map(|(_, record)| record);
            Ok(found.filter(|record| now < record.expires_at))
        })
    }

    async fn media_by_public_name(
        &self,
        public_name: &str,
        now: Timestamp,
    ) -> StoreResult<Option<MediaRecord>> {
        self.readers.look_up(|conn| {
            let mut select = conn.prepare_cached(select_media!("WHERE f.public_name = ?1"))?;
            let mut rows = select.query([public_name])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let (_, record) = record(row)?;
            Ok(Some(record).filter(|record| now < record.expires_at))
        })
    }

    async fn media_list(&self, org_id: &OrgId, page: Page) -> StoreResult<Paged<MediaRecord>> {
        let org_id = org_id.clone();
        self.readers.list(move |conn| list(conn, &org_id, page)).await
    }

    async fn expired_media(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<(OrgId, MediaId)>> {
        self.readers.list(move |conn| expired(conn, now, limit)).await
    }

    async fn delete_media(
        &self,
        org_id: &OrgId,
        id: &MediaId,
    ) -> StoreResult<Option<(MediaRecord, bool)>> {
        let (org_id, id) = (org_id.clone(), id.clone());
        self.writer.run(Work::Known, move |conn| delete(conn, &org_id, &id)).await
    }

    async fn upstream_copy(
        &self,
        sha256: &Sha256Hex,
        mime_type: &MimeType,
        number_id: &NumberId,
        now: Timestamp,
    ) -> StoreResult<Option<UpstreamCopy>> {
        self.readers.look_up(|conn| {
            let found = conn
                .prepare_cached(
                    "SELECT upstream_id, expires_at FROM upstream_copies
                     WHERE sha256 = ?1 AND number = (SELECT ref FROM numbers WHERE id = ?2)
                         AND mime_type = ?3 AND expires_at > ?4",
                )?
                .query_row(
                    params![sha256.as_str(), number_id.as_str(), mime_type.as_str(), now.0],
                    |row| {
                        let expires_at = Timestamp(row.get(1)?);
                        Ok(UpstreamCopy { upstream_id: row.get(0)?, expires_at })
                    },
                )
                .optional()?;
            Ok(found)
        })
    }

    async fn put_upstream_copy(
        &self,
        sha256: &Sha256Hex,
        mime_type: &MimeType,
        number_id: &NumberId,
        copy: UpstreamCopy,
    ) -> StoreResult<()> {
        let (sha256, mime_type) = (sha256.clone(), mime_type.clone());
        let number_id = number_id.clone();
        self.writer
            .run(Work::Known, move |conn| put_copy(conn, &sha256, &mime_type, &number_id, &copy))
            .await
    }

    async fn forget_upstream_copy(
        &self,
        sha256: &Sha256Hex,
        number_id: &NumberId,
    ) -> StoreResult<()> {
        let (sha256, number_id) = (sha256.clone(), number_id.clone());
        self.writer
            .run(Work::Known, move |conn| {
                conn.prepare_cached(
                    "DELETE FROM upstream_copies
                     WHERE sha256 = ?1 AND number = (SELECT ref FROM numbers WHERE id = ?2)",
                )?
                .execute([sha256.as_str(), number_id.as_str()])?;
                Ok(())
            })
            .await
    }
}

fn add(
    conn: &Connection,
    record: &MediaRecord,
    claim: Option<&IdempotencyClaim>,
) -> Done<Accepted> {
    if let Some(claim) = claim {
        let target = IdempotentTarget::Media(record.id.clone());
        let claimed = idempotency::claim(conn, claim, &target, record.created_at)?;
        if claimed != Accepted::New {
            return Ok(claimed);
        }
    }
    conn.prepare_cached(
        "INSERT INTO media (id, org, sha256, size, mime_type, filename, public_name, created_at,
             expires_at)
         VALUES (?1, (SELECT ref FROM orgs WHERE id = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        record.id.as_str(),
        record.org_id.as_str(),
        record.sha256.as_str(),
        i64::try_from(record.size).unwrap_or(i64::MAX),
        record.mime_type.as_str(),
        record.filename,
        record.public_name,
        record.created_at.0,
        record.expires_at.0,
    ])?;
    Ok(Accepted::New)
}

fn record(row: &Row<'_>) -> Done<(i64, MediaRecord)> {
    let mime_type: String = row.get(5)?;
    let record = MediaRecord {
        id: MediaId::new(row.get::<_, String>(1)?),
        org_id: OrgId::new(row.get::<_, String>(2)?),
        sha256: Sha256Hex::from_stored(row.get(3)?),
        size: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
        mime_type: stored_type(&mime_type).ok_or_else(|| corrupt("media type"))?,
        filename: row.get(6)?,
        public_name: row.get(7)?,
        created_at: Timestamp(row.get(8)?),
        expires_at: Timestamp(row.get(9)?),
    };
    Ok((row.get(0)?, record))
}

pub(crate) fn find(
    conn: &Connection,
    org: &OrgId,
    id: &MediaId,
) -> Done<Option<(i64, MediaRecord)>> {
    let mut select = conn.prepare_cached(select_media!("WHERE f.id = ?1 AND o.id = ?2"))?;
    let mut rows = select.query([id.as_str(), org.as_str()])?;
    rows.next()?.map(record).transpose()
}

fn list(conn: &Connection, org: &OrgId, page: Page) -> Done<Paged<MediaRecord>> {
    let mut select = conn
        .prepare_cached(select_media!("WHERE o.id = ?1 AND f.seq > ?2 ORDER BY f.seq LIMIT ?3"))?;
    let mut rows = select.query(params![org.as_str(), page.after.unwrap_or(0), rows_for(page)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(record(row)?);
    }
    Ok(paged(page, found))
}

fn expired(conn: &Connection, now: Timestamp, limit: u32) -> Done<Vec<(OrgId, MediaId)>> {
    let mut select = conn.prepare_cached(
        "SELECT o.id, m.id FROM media m JOIN orgs o ON o.ref = m.org
         WHERE m.expires_at <= ?1 LIMIT ?2",
    )?;
    let rows = select.query_map(params![now.0, limit], |row| {
        Ok((OrgId::new(row.get::<_, String>(0)?), MediaId::new(row.get::<_, String>(1)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn delete(conn: &Connection, org: &OrgId, id: &MediaId) -> Done<Option<(MediaRecord, bool)>> {
    let Some((seq, record)) = find(conn, org, id)? else { return Ok(None) };
    conn.prepare_cached("DELETE FROM media WHERE seq = ?1")?.execute([seq])?;
    let mut others = conn.prepare_cached("SELECT 1 FROM media WHERE sha256 = ?1 LIMIT 1")?;
    let unused = !others.exists([record.sha256.as_str()])?;
    Ok(Some((record, unused)))
}

fn put_copy(
    conn: &Connection,
    sha256: &Sha256Hex,
    mime_type: &MimeType,
    number: &NumberId,
    copy: &UpstreamCopy,
) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO upstream_copies (sha256, number, mime_type, upstream_id, expires_at)
         VALUES (?1, (SELECT ref FROM numbers WHERE id = ?2), ?3, ?4, ?5)
         ON CONFLICT (sha256, number, mime_type) DO UPDATE
             SET upstream_id = excluded.upstream_id, expires_at = excluded.expires_at",
    )?
    .execute(params![
        sha256.as_str(),
        number.as_str(),
        mime_type.as_str(),
        copy.upstream_id,
        copy.expires_at.0
    ])?;
    Ok(())
}

fn stored_type(text: &str) -> Option<MimeType> {
    MimeType::parse(text).or_else(|| Some(MimeType::unknown()).filter(|it| it.as_str() == text))
}

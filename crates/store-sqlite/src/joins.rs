//! Whom a person joined on a number that organisations share: the last one counts.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::{NumberId, OrgId, Phone, Timestamp};
use waypost_engine::ports::{Addressed, InboundMessage};

use crate::fault::Done;

/// The message with the organisation that it is for, and the person's join recorded where it is
/// one. Called in the message's own job, so that what comes right behind a join follows it.
pub(crate) fn settle<'a>(
    conn: &Connection,
    inbound: &'a InboundMessage,
    now: Timestamp,
) -> Done<Cow<'a, InboundMessage>> {
    match inbound.addressed {
        Addressed::Named => {}
        Addressed::Joining => join(conn, inbound, now)?,
        Addressed::Joined => {
            let joined = joined(conn, &inbound.number_id, &inbound.phone)?;
            if let Some(org_id) = joined.filter(|org_id| *org_id != inbound.org_id) {
                return Ok(Cow::Owned(InboundMessage { org_id, ..inbound.clone() }));
            }
        }
    }
    Ok(Cow::Borrowed(inbound))
}

fn join(conn: &Connection, inbound: &InboundMessage, now: Timestamp) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO joins (number, phone, org, joined_at)
         VALUES ((SELECT ref FROM numbers WHERE id = ?1), ?2,
             (SELECT ref FROM orgs WHERE id = ?3), ?4)
         ON CONFLICT (number, phone) DO UPDATE
             SET org = excluded.org, joined_at = excluded.joined_at",
    )?
    .execute(params![
        inbound.number_id.as_str(),
        inbound.phone.digits(),
        inbound.org_id.as_str(),
        now.0
    ])?;
    Ok(())
}

/// The organisation that a person joined on a number, unless it is gone.
pub(crate) fn joined(conn: &Connection, number: &NumberId, phone: &Phone) -> Done<Option<OrgId>> {
    let mut select = conn.prepare_cached(
        "SELECT o.id FROM joins j JOIN orgs o ON o.ref = j.org
         WHERE j.number = (SELECT ref FROM numbers WHERE id = ?1) AND j.phone = ?2",
    )?;
    let found: Option<String> =
        select.query_row(params![number.as_str(), phone.digits()], |row| row.get(0)).optional()?;
    Ok(found.map(OrgId::new))
}

//! Business-scoped ids of people whose number is known too. A person may be written to by either, and
//! what was said under the number, a window or an opt-out, holds for both.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::{OrgId, Phone};

use crate::fault::Done;
use crate::rows::phone;

/// Ids of one number that are looked at: one for each business portfolio of the organisation, and its
/// parent's.
const MAX_IDS: u32 = 16;

/// Whether there are any. Most installations have none, and every look-up of a person would ask for them.
pub(crate) struct ScopedIds {
    are_there: AtomicBool,
}

impl ScopedIds {
    pub(crate) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let are_there =
            conn.query_row("SELECT EXISTS (SELECT 1 FROM scoped_ids)", [], |row| row.get(0))?;
        Ok(Self { are_there: AtomicBool::new(are_there) })
    }

    /// A webhook told both. It also opens the person's window, which makes what is remembered of them
    /// out of date. Gives the number that the id meant until now, where that is another one.
    pub(crate) fn note(
        &self,
        conn: &Connection,
        org: &OrgId,
        id: &Phone,
        number: &Phone,
    ) -> Done<Option<Phone>> {
        // Before it is committed, and for good: whoever looks finds out.
        self.are_there.store(true, Ordering::Release);
        let known = number_of(conn, org, id)?;
        if known.as_ref() == Some(number) {
            return Ok(None);
        }
        conn.prepare_cached(
            "INSERT INTO scoped_ids (org, id, phone)
             VALUES ((SELECT ref FROM orgs WHERE id = ?1), ?2, ?3)
             ON CONFLICT (org, id) DO UPDATE SET phone = excluded.phone",
        )?
        .execute(params![org.as_str(), id.digits(), number.digits()])?;
        Ok(known)
    }

    /// The other names of a person who is written to by one: the number of an id, and the ids of a
    /// number.
    pub(crate) fn other_names(
        &self,
        conn: &Connection,
        org: &OrgId,
        name: &Phone,
    ) -> Done<Vec<Phone>> {
        let mut names = Vec::new();
        if !self.are_there.load(Ordering::Acquire) {
            return Ok(names);
        }
        let number = number_of(conn, org, name)?;
        let mut select = conn.prepare_cached(
            "SELECT id FROM scoped_ids
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND phone = ?2 AND id <> ?3 LIMIT ?4",
        )?;
        let of = number.as_ref().unwrap_or(name).digits();
        let mut rows = select.query(params![org.as_str(), of, name.digits(), MAX_IDS])?;
        while let Some(row) = rows.next()? {
            names.push(phone(&row.get::<_, String>(0)?)?);
        }
        names.extend(number);
        Ok(names)
    }

    /// The id of a person who is written to by number, where there is only one: each business portfolio
    /// has its own, and which one is meant nobody says.
    pub(crate) fn only_id_of(
        &self,
        conn: &Connection,
        org: &OrgId,
        number: &Phone,
    ) -> Done<Option<String>> {
        if !self.are_there.load(Ordering::Acquire) {
            return Ok(None);
        }
        let mut select = conn.prepare_cached(
            "SELECT max(id) FROM scoped_ids
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND phone = ?2 HAVING count(*) = 1",
        )?;
        let found = select.query_row(params![org.as_str(), number.digits()], |row| row.get(0));
        Ok(found.optional()?)
    }
}

/// The number of a person who is written to by an id.
pub(crate) fn number_of(conn: &Connection, org: &OrgId, id: &Phone) -> Done<Option<Phone>> {
    if !id.is_business_scoped() {
        return Ok(None);
    }
    let found: Option<String> = conn
        .prepare_cached(
            "SELECT phone FROM scoped_ids
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2",
        )?
        .query_row(params![org.as_str(), id.digits()], |row| row.get(0))
        .optional()?;
    found.map(|digits| phone(&digits)).transpose()
}

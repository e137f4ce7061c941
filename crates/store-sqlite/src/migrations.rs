//! The layout's history: numbered files that are only ever added to. `PRAGMA user_version` holds
//! the number of the last one applied.

use rusqlite::Connection;

/// In order; the first has number 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_creation_keys.sql"),
    include_str!("../migrations/0003_free_keys.sql"),
    include_str!("../migrations/0004_targets_by_org.sql"),
    include_str!("../migrations/0005_webhooks_by_org.sql"),
    include_str!("../migrations/0006_signers.sql"),
    include_str!("../migrations/0007_failing.sql"),
    include_str!("../migrations/0008_former_sendings.sql"),
    include_str!("../migrations/0009_opt_outs.sql"),
    include_str!("../migrations/0010_request_parts.sql"),
    include_str!("../migrations/0011_notices.sql"),
];

/// The layout that this program knows.
pub(crate) fn known_version() -> usize {
    MIGRATIONS.len()
}

/// The layout that a database has.
pub(crate) fn version(conn: &Connection) -> rusqlite::Result<usize> {
    conn.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0)).map(|found| {
        // A version beyond the platform's integers is newer than anything known.
        usize::try_from(found).unwrap_or(usize::MAX)
    })
}

/// Whether anything is in a database.
pub(crate) fn has_tables(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_master)", [], |row| row.get(0))
}

/// Brings a database to the known layout, in one transaction. Writes even where nothing is to be
/// done: a disk that cannot be written to shows now and not at the first message.
pub(crate) fn apply(conn: &mut Connection, from: usize) -> rusqlite::Result<()> {
    let transaction = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for sql in MIGRATIONS.iter().skip(from) {
        transaction.execute_batch(sql)?;
    }
    transaction.execute_batch(&format!("PRAGMA user_version = {}", known_version()))?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Value;

    use super::*;

    #[test]
    fn the_old_places_of_creations_keys_go_and_other_settings_stay() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(MIGRATIONS[0]).unwrap();
        for name in ["idempotency/0", "idempotency/4095", "idempotencies", "admin"] {
            conn.execute("INSERT INTO settings (name, value) VALUES (?1, '')", [name]).unwrap();
        }
        apply(&mut conn, 1).unwrap();
        let mut select = conn.prepare("SELECT name FROM settings ORDER BY name").unwrap();
        let left = select.query_map([], |row| row.get(0)).unwrap();
        let left: Vec<String> = left.collect::<rusqlite::Result<_>>().unwrap();
        assert_eq!(left, ["admin", "idempotencies"]);
    }

    #[test]
    fn webhooks_stay_what_and_where_they_were() {
        let mut conn = Connection::open_in_memory().unwrap();
        for sql in &MIGRATIONS[..4] {
            conn.execute_batch(sql).unwrap();
        }
        let insert = "INSERT INTO webhooks (seq, org, id, body) VALUES (?1, ?2, ?3, ?3)";
        for (seq, org, id) in [(2, 7, "crm"), (5, 8, "audit")] {
            conn.execute(insert, rusqlite::params![seq, org, id]).unwrap();
        }
        apply(&mut conn, 4).unwrap();
        conn.execute(insert, rusqlite::params![6, 8, "crm"]).unwrap();
        conn.execute(insert, rusqlite::params![9, 8, "crm"]).unwrap_err();
        let mut select = conn.prepare("SELECT seq, org, body FROM webhooks ORDER BY seq").unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let rows: Vec<(i64, i64, String)> = rows.unwrap().map(Result::unwrap).collect();
        let expected = [(2, 7, "crm"), (5, 8, "audit"), (6, 8, "crm")];
        assert_eq!(rows, expected.map(|(seq, org, body)| (seq, org, body.to_owned())));
    }

    #[test]
    fn webhooks_and_reports_that_wait_count_for_everybody_as_they_did() {
        let mut conn = Connection::open_in_memory().unwrap();
        for sql in &MIGRATIONS[..5] {
            conn.execute_batch(sql).unwrap();
        }
        conn.execute_batch(
            "INSERT INTO inbox (id, body, received_at) VALUES (7, x'7b7d', 1);
             INSERT INTO parked_reports (seq, wamid, report, at, code, failure, extra, parked_at)
                 VALUES (5, 'wamid.1', 3, 10, 131026, '{}', NULL, 20);",
        )
        .unwrap();
        apply(&mut conn, 5).unwrap();
        let entry = conn.query_row("SELECT id, body, numbers FROM inbox", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        });
        assert_eq!(entry.unwrap(), (7_i64, b"{}".to_vec(), None::<String>));
        let parked = conn.query_row(
            "SELECT seq, wamid, number, report, at, code, failure, parked_at FROM parked_reports",
            [],
            |row| (0..8).map(|place| row.get(place)).collect::<rusqlite::Result<Vec<Value>>>(),
        );
        let expected = [
            Value::Integer(5),
            Value::Text("wamid.1".to_owned()),
            Value::Integer(0),
            Value::Integer(3),
            Value::Integer(10),
            Value::Integer(131_026),
            Value::Text("{}".to_owned()),
            Value::Integer(20),
        ];
        assert_eq!(parked.unwrap(), expected);
    }
}

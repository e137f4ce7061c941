//! What is told of the calls to the upstream, by attempt.

use async_trait::async_trait;
use rusqlite::params;
use waypost_engine::ports::{AttemptCall, CallStore, StoreResult};

use crate::SqliteStore;
use crate::rows::to_json;
use crate::writer::Work;

#[async_trait]
impl CallStore for SqliteStore {
    async fn note_calls(&self, calls: Vec<AttemptCall>) -> StoreResult<()> {
        let noted = calls.into_iter().map(|it| Ok((it.attempt_id, to_json(&it.call)?)));
        let noted = noted.collect::<StoreResult<Vec<_>>>()?;
        self.writer
            .run(Work::Known, move |conn| {
                let mut insert = conn.prepare_cached(
                    "INSERT OR IGNORE INTO attempt_calls (attempt, call) VALUES (?1, ?2)",
                )?;
                for (attempt, call) in &noted {
                    insert.execute(params![attempt.as_bytes(), call])?;
                }
                Ok(())
            })
            .await
    }
}

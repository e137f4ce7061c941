//! Idempotency of creations that the store has no claim for (messages, broadcasts and media have
//! one): the key, the request's fingerprint and the id of what is to be made are durable before it
//! is made, so that a repetition after a crash makes nothing twice. A repetition is answered with
//! the present state of what the first request made.
//!
//! The keys lie in a fixed number of places; of two that fall into the same place the later one
//! stays.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::MutexGuard;
use waypost_domain::{ErrorKind, Failure, Timestamp};
use waypost_engine::IdempotencyKey;
use waypost_engine::ports::Sha256Hex;

use crate::App;
use crate::headers::mark_replayed;
use crate::problem::Problem;

/// How many keys are kept.
const PLACES: u32 = 4_096;
/// How long a key is kept, in milliseconds: 7 days.
const KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;

/// What is kept of a creation.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    name: String,
    fingerprint: String,
    made_at: Timestamp,
    id: String,
}

impl Kept {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ' ');
        let (name, fingerprint) = (parts.next()?, parts.next()?);
        let made_at = Timestamp(parts.next()?.parse().ok()?);
        let id = parts.next()?;
        let [name, fingerprint, id] = [name, fingerprint, id].map(str::to_owned);
        Some(Self { name, fingerprint, made_at, id })
    }

    fn write(&self) -> String {
        format!("{} {} {} {}", self.name, self.fingerprint, self.made_at.0, self.id)
    }
}

/// The making of one thing. Between [`Creation::begin`] and the end nothing else with a key is
/// made.
pub(crate) struct Creation<'a> {
    app: &'a App,
    id: String,
    repeated: bool,
    /// Where the key is kept, if there is one.
    place: Option<(String, MutexGuard<'a, ()>)>,
}

impl<'a> Creation<'a> {
    /// Begins. `scope` is the organisation and the route; `id` is the id that the new thing gets,
    /// unless the key stands for another already.
    ///
    /// # Errors
    /// A 422 where the key was used with another request.
    pub(crate) async fn begin(
        app: &'a App,
        scope: &str,
        idempotency: Option<IdempotencyKey>,
        id: String,
    ) -> Result<Self, Problem> {
        let Some(idempotency) = idempotency else {
            return Ok(Self { app, id, repeated: false, place: None });
        };
        let turn = app.creating.lock().await;
        let store = app.engine.store();
        let hash = Sha256::digest(format!("{scope}\n{}", idempotency.key));
        let name = Sha256Hex::from_digest(&hash).as_str().to_owned();
        let place = place_of(&hash);
        let now = app.engine.now();
        let fingerprint = Sha256Hex::from_digest(&idempotency.fingerprint).as_str().to_owned();
        let kept = store.setting(&place).await?.as_deref().and_then(Kept::read);
        match kept.filter(|kept| kept.name == name && now < kept.made_at.plus_ms(KEPT_MS)) {
            Some(kept) if kept.fingerprint != fingerprint => Err(conflict()),
            Some(kept) => Ok(Self { app, id: kept.id, repeated: true, place: Some((place, turn)) }),
            None => {
                let kept = Kept { name, fingerprint, made_at: now, id };
                store.put_setting(&place, &kept.write()).await?;
                Ok(Self { app, id: kept.id, repeated: false, place: Some((place, turn)) })
            }
        }
    }

    /// The id of what is made.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether an earlier request may have made it: look before making it.
    pub(crate) fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// Ends with what an earlier request made.
    pub(crate) fn replay(self, found: &impl Serialize) -> Response {
        let mut response = created(found);
        mark_replayed(response.headers_mut());
        response
    }

    /// Ends with what was made now. What was refused made nothing: the key is free again.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) async fn end(
        self,
        made: Result<impl Serialize, Problem>,
    ) -> Result<Response, Problem> {
        match made {
            Ok(made) => Ok(created(&made)),
            Err(problem) => {
                if let Some((place, _turn)) = &self.place {
                    self.app.engine.store().put_setting(place, "").await?;
                }
                Err(problem)
            }
        }
    }
}

fn place_of(hash: &[u8]) -> String {
    let number = hash.iter().take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    format!("idempotency/{}", number % PLACES)
}

fn created(value: &impl Serialize) -> Response {
    (StatusCode::CREATED, Json(value)).into_response()
}

fn conflict() -> Problem {
    let message = "This Idempotency-Key was used with another request; choose another key.";
    Failure::new(ErrorKind::IdempotencyConflict, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_can_be_read_back() {
        let kept = Kept {
            name: "n".to_owned(),
            fingerprint: "f".to_owned(),
            made_at: Timestamp(7),
            id: "an id".to_owned(),
        };
        assert_eq!(Kept::read(&kept.write()), Some(kept));
        assert_eq!(Kept::read(""), None);
    }
}

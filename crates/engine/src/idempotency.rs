//! Idempotency keys: the same request twice is one message, and the second caller gets the first
//! one's answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::Instant;
pub(crate) use waypost_domain::idempotency::KEPT_MS;
use waypost_domain::message::Message;
use waypost_domain::{BroadcastId, ErrorKind, Failure, MediaId, MessageId, OrgId, Status};
use waypost_planted::{Bug, is_planted};

use crate::ports::{CreationClaim, IdempotencyClaim, IdempotentTarget};
use crate::{Ask, Engine, StoreFile};

/// How long a request that makes something waits for another one with the same key.
const CREATION_WAIT: Duration = Duration::from_secs(2);

/// A caller's key with the fingerprint of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// What the caller sent.
    pub key: String,
    /// SHA-256 of the canonical request.
    pub fingerprint: [u8; 32],
}

impl<T> Ask<T> {
    /// The claim to be recorded with what the request makes.
    pub(crate) fn claim(&self, org_id: &OrgId) -> Option<IdempotencyClaim> {
        let kept = self.idempotency.as_ref().filter(|_| !is_planted(Bug::ForgetIdempotency));
        kept.map(|idempotency| IdempotencyClaim {
            org_id: org_id.clone(),
            route: self.route.to_owned(),
            key: idempotency.key.clone(),
            fingerprint: idempotency.fingerprint,
        })
    }

    pub(crate) fn check_fingerprint(&self, claimed: [u8; 32]) -> Result<(), Failure> {
        let same = self.idempotency.as_ref().is_some_and(|own| own.fingerprint == claimed);
        if same { Ok(()) } else { Err(used_otherwise()) }
    }

    /// The failure of a look-up by key that is told only behind what is wrong with the request.
    pub(crate) fn put_off(&self, failure: Failure) -> Result<Failure, Failure> {
        let is_conflict = failure.kind == ErrorKind::IdempotencyConflict;
        if is_conflict && !self.conflicts_first { Ok(failure) } else { Err(failure) }
    }
}

fn used_otherwise() -> Failure {
    let message = "The request's own id or Idempotency-Key was used with another request; a new \
                   request needs a new one.";
    Failure::new(ErrorKind::IdempotencyConflict, message)
}

/// A key as callers name it: organisation, route, key.
type KeyName = (OrgId, &'static str, String);

/// Keys with which requests are being taken: of several requests with one key only one asks for a
/// turn, and the others find what it made.
#[derive(Clone, Default)]
pub(crate) struct KeysInUse(Arc<Mutex<HashMap<KeyName, InUse>>>);

#[derive(Default)]
struct InUse {
    turn: Arc<AsyncMutex<()>>,
    /// Requests that have it or wait for it.
    requests: usize,
}

impl KeysInUse {
    /// Waits for those who came before, at most for `limit`.
    async fn take(&self, name: KeyName, limit: Duration) -> Result<KeyInUse, Failure> {
        let turn = {
            let mut all = self.0.lock();
            let in_use = all.entry(name.clone()).or_default();
            in_use.requests += 1;
            Arc::clone(&in_use.turn)
        };
        // Before the wait: who does not wait to its end leaves nothing behind.
        let mut key = KeyInUse { all: self.clone(), name, alone: None };
        let turn = tokio::time::timeout(limit, turn.lock_owned()).await;
        key.alone = Some(turn.map_err(|_| in_progress())?);
        Ok(key)
    }
}

/// A key that nobody else's request has meanwhile.
pub(crate) struct KeyInUse {
    all: KeysInUse,
    name: KeyName,
    /// `None` only while it is waited for.
    alone: Option<OwnedMutexGuard<()>>,
}

impl Drop for KeyInUse {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        let Some(in_use) = all.get_mut(&self.name) else { return };
        in_use.requests -= 1;
        if in_use.requests == 0 {
            all.remove(&self.name);
        }
    }
}

/// The key of a request that makes something of the management API's; nobody else's request has it
/// meanwhile.
pub struct CreationKey {
    claim: CreationClaim,
    _alone: KeyInUse,
}

impl CreationKey {
    /// The id of what an earlier request with this key made. It may be gone.
    #[must_use]
    pub fn earlier(&self) -> Option<&str> {
        self.claim.gone.as_deref()
    }

    /// The claim to be recorded with what is made; what an earlier request made is gone then.
    #[must_use]
    pub fn claim(&self) -> CreationClaim {
        self.claim.clone()
    }
}

impl Engine {
    /// Takes the key of a request that makes something, for an organisation or, with the empty id,
    /// the installation.
    ///
    /// # Errors
    /// [`ErrorKind::IdempotencyConflict`] where the key was used with another request,
    /// [`ErrorKind::IdempotencyInProgress`] where an earlier one takes long, or what the store says.
    pub async fn creation_key(
        &self,
        org_id: OrgId,
        route: &'static str,
        idempotency: IdempotencyKey,
    ) -> Result<CreationKey, Failure> {
        let IdempotencyKey { key, fingerprint } = idempotency;
        let name = (org_id.clone(), route, key.clone());
        let alone = self.keys_in_use().take(name, CREATION_WAIT).await?;
        let now = self.now();
        let oldest = now.plus_ms(-KEPT_MS);
        let earlier = match self.store().idempotent_target(&org_id, route, &key, oldest).await? {
            None => None,
            Some((claimed, _)) if claimed != fingerprint => return Err(used_otherwise()),
            Some((_, IdempotentTarget::Made(id))) => Some(id),
            Some(_) => return Err(in_progress()),
        };
        let claim = IdempotencyClaim { org_id, route: route.to_owned(), key, fingerprint };
        Ok(CreationKey { claim: CreationClaim { claim, gone: earlier, now }, _alone: alone })
    }

    /// Waits until no other request with the same key is being taken, and leaves the request what is
    /// left of its wait. `None` where it has no key, or one that stands for something by then.
    pub(crate) async fn alone_with_key<T>(
        &self,
        ask: &mut Ask<T>,
        org_id: &OrgId,
    ) -> Result<Option<KeyInUse>, Failure> {
        let Some(idempotency) = &ask.idempotency else { return Ok(None) };
        let name = (org_id.clone(), ask.route, idempotency.key.clone());
        let began = Instant::now();
        let in_use = self.keys_in_use().take(name, ask.idempotency_wait).await?;
        ask.idempotency_wait = ask.idempotency_wait.saturating_sub(began.elapsed());
        Ok(self.claimed(ask, org_id).await?.is_none().then_some(in_use))
    }

    async fn claimed<T>(
        &self,
        ask: &Ask<T>,
        org_id: &OrgId,
    ) -> Result<Option<([u8; 32], IdempotentTarget)>, Failure> {
        let Some(idempotency) = &ask.idempotency else { return Ok(None) };
        let oldest = self.now().plus_ms(-KEPT_MS);
        let store = self.store();
        Ok(store.idempotent_target(org_id, ask.route, &idempotency.key, oldest).await?)
    }

    /// The message that an earlier request with this key made.
    pub(crate) async fn find_replay(
        &self,
        ask: &Ask<()>,
        org_id: &OrgId,
    ) -> Result<Option<Message>, Failure> {
        match self.claimed(ask, org_id).await? {
            None => Ok(None),
            Some((fingerprint, target)) => {
                self.replayed_message(ask, org_id, fingerprint, target).await.map(Some)
            }
        }
    }

    /// The message of a claimed key, once it has an outcome.
    pub(crate) async fn replayed_message(
        &self,
        ask: &Ask<()>,
        org_id: &OrgId,
        fingerprint: [u8; 32],
        target: IdempotentTarget,
    ) -> Result<Message, Failure> {
        ask.check_fingerprint(fingerprint)?;
        let IdempotentTarget::Message(id) = target else { return Err(in_progress()) };
        let deadline = Instant::now() + ask.idempotency_wait;
        let mut waiting = self.watch().watch(id);
        loop {
            let history = self.store().message(org_id, id).await?.ok_or_else(in_progress)?;
            let message = history.message;
            let is_open = match message.status {
                Status::Sending => true,
                Status::Unknown => ask.awaits_unknown,
                _ => false,
            };
            if !(message.synchronous && is_open) {
                return Ok(message);
            }
            if !waiting.told_before(deadline).await {
                return Err(in_progress());
            }
        }
    }

    /// The messages that an earlier request with this key made.
    pub(crate) async fn find_submit_replay(
        &self,
        ask: &Ask<()>,
        org_id: &OrgId,
    ) -> Result<Option<Vec<MessageId>>, Failure> {
        match self.claimed(ask, org_id).await? {
            None => Ok(None),
            Some((fingerprint, target)) => replayed_ids(ask, fingerprint, target).map(Some),
        }
    }

    /// The broadcast that an earlier request with this key made.
    pub(crate) async fn find_broadcast_replay(
        &self,
        ask: &Ask<()>,
        org_id: &OrgId,
    ) -> Result<Option<BroadcastId>, Failure> {
        let Some((fingerprint, target)) = self.claimed(ask, org_id).await? else {
            return Ok(None);
        };
        ask.check_fingerprint(fingerprint)?;
        match target {
            IdempotentTarget::Broadcast(id) => Ok(Some(id)),
            _ => Err(in_progress()),
        }
    }

    /// The upload that an earlier request with this key made.
    pub(crate) async fn find_upload_replay(
        &self,
        ask: &Ask<StoreFile>,
        org_id: &OrgId,
    ) -> Result<Option<MediaId>, Failure> {
        let Some((fingerprint, target)) = self.claimed(ask, org_id).await? else {
            return Ok(None);
        };
        ask.check_fingerprint(fingerprint)?;
        match target {
            IdempotentTarget::Media(id) => Ok(Some(id)),
            _ => Err(in_progress()),
        }
    }
}

/// The messages of a claimed key.
pub(crate) fn replayed_ids(
    ask: &Ask<()>,
    fingerprint: [u8; 32],
    target: IdempotentTarget,
) -> Result<Vec<MessageId>, Failure> {
    ask.check_fingerprint(fingerprint)?;
    match target {
        IdempotentTarget::Messages(ids) => Ok(ids),
        IdempotentTarget::Message(id) => Ok(vec![id]),
        _ => Err(in_progress()),
    }
}

pub(crate) fn in_progress() -> Failure {
    let message = "What came of the first request with this id or key is not known yet; try again \
                   shortly.";
    Failure::new(ErrorKind::IdempotencyInProgress, message).retry_after_s(2)
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, poll};

    use super::*;

    #[tokio::test]
    async fn of_a_key_that_nobody_uses_or_waits_for_nothing_is_kept() {
        let keys = KeysInUse::default();
        let name = || (OrgId::new("org-1"), "/messages", "k".to_owned());
        let take = || Box::pin(keys.take(name(), CREATION_WAIT));
        let held = take().await.expect("nobody has it");
        let (mut next, mut gone) = (take(), take());
        assert!(poll!(&mut next).is_pending() && poll!(&mut gone).is_pending());
        drop(held);
        let held = next.now_or_never().expect("it has its turn");
        drop(held);
        // It has its turn and was not woken yet.
        drop(gone);
        assert!(keys.0.lock().is_empty());
    }
}

//! Accepting messages, and idempotency keys.

use waypost_domain::content::{Component, MediaMessage, Parameter, TemplateMessage};
use waypost_domain::media::MediaKind;
use waypost_domain::{Content, CustomerId, MediaId, MediaRef, NumberId, OrgId, Status, UserId};
use waypost_engine::ports::{Accepted, Entry, IdempotencyClaim, IdempotentTarget, StoreError};

use crate::Harness;
use crate::samples::{
    START, Stage, at, claim, message, new_attempt, now_due, org, org_id, refused, sent,
};

const WEEK_MS: i64 = 7 * 24 * 3_600 * 1_000;

fn replay_of(id: waypost_domain::MessageId, fingerprint: u8) -> Accepted {
    Accepted::Replay { fingerprint: [fingerprint; 32], target: IdempotentTarget::Message(id) }
}

pub async fn an_accepted_message_survives_a_reopening(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut full = message(1);
    full.customer_id = Some(CustomerId::new("c1"));
    full.synchronous = true;
    full.user_id = Some(UserId::new("agent"));
    full.session_id = Some("session".to_owned());
    full.reference = Some("ünïcode".repeat(64));
    full.content = Content::Template(TemplateMessage {
        name: "offer".to_owned(),
        language: Some("en".to_owned()),
        components: vec![Component {
            kind: "header".to_owned(),
            sub_type: None,
            index: None,
            parameters: vec![Parameter::Media {
                kind: MediaKind::Image,
                media: MediaRef::Stored(MediaId::new("1000000000000001")),
                filename: None,
            }],
            extra: serde_json::Map::new(),
        }],
    });
    let mut file = message(2);
    file.content = Content::Media(MediaMessage {
        kind: MediaKind::Document,
        media: MediaRef::Link("https://files.example.com/a.pdf".to_owned()),
        caption: None,
        filename: Some("a.pdf".to_owned()),
        voice: false,
    });
    for message in [&full, &file] {
        stage.queue(message).await;
    }
    let stage = stage.reopen(harness).await;
    for expected in [full, file] {
        let history = stage.history(expected.id).await;
        assert_eq!(history.message, expected);
        assert!(history.statuses.is_empty() && history.attempts.is_empty());
    }
}

pub async fn an_unknown_organisation_or_number_is_not_found(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut homeless = message(1);
    homeless.org_id = OrgId::new("nobody");
    let mut numberless = message(1);
    numberless.number_id = NumberId::new("300000000000009");
    for message in [homeless, numberless] {
        let refused = stage.store.accept(message, now_due(), None).await;
        assert_eq!(refused, Err(StoreError::NotFound));
    }
}

pub async fn the_same_id_is_not_accepted_twice(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    stage.queue(&first).await;
    let again = stage.store.accept(first, now_due(), None).await;
    assert_eq!(again, Err(StoreError::Conflict("id")));
    assert_eq!(stage.due(at(1)).await.len(), 1);
}

pub async fn a_claimed_key_is_replayed_with_its_fingerprint_and_target(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    let accepted = stage.store.accept(first.clone(), now_due(), Some(claim("k", 1))).await.unwrap();
    assert_eq!(accepted, Accepted::New);
    let stage = stage.reopen(harness).await;
    for fingerprint in [1, 2] {
        let again =
            stage.store.accept(message(1), now_due(), Some(claim("k", fingerprint))).await.unwrap();
        assert_eq!(again, replay_of(first.id, 1), "the caller compares the fingerprints");
    }
    assert_eq!(stage.due(at(1)).await, [first.id], "a replay makes no message");
    let found = stage.store.idempotent_target(&org_id(), &claim("k", 1).route, "k", START).await;
    assert_eq!(found, Ok(Some(([1; 32], IdempotentTarget::Message(first.id)))));
}

pub async fn keys_of_other_organisations_and_routes_are_independent(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("other"))).await;
    let own = claim("k", 1);
    let elsewhere = IdempotencyClaim { route: "/elsewhere".to_owned(), ..own.clone() };
    let foreign = IdempotencyClaim { org_id: OrgId::new("other"), ..own.clone() };
    for claim in [own, elsewhere, foreign] {
        let mut message = message(1);
        message.org_id = claim.org_id.clone();
        let accepted = stage.store.accept(message, now_due(), Some(claim)).await.unwrap();
        assert_eq!(accepted, Accepted::New);
    }
}

pub async fn of_64_parallel_claims_exactly_one_is_new(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for round in 0..5 {
        let key = format!("race-{round}");
        let racers: Vec<_> = (0..64)
            .map(|_| {
                let store = stage.store.clone();
                let claim = claim(&key, 1);
                tokio::spawn(async move {
                    let message = message(1);
                    let id = message.id;
                    (id, store.accept(message, now_due(), Some(claim)).await.unwrap())
                })
            })
            .collect();
        let mut winners = Vec::new();
        let mut replays = Vec::new();
        for racer in racers {
            match racer.await.unwrap() {
                (id, Accepted::New) => winners.push(id),
                (_, replay) => replays.push(replay),
            }
        }
        assert_eq!((winners.len(), replays.len()), (1, 63), "round {round}");
        let expected = replay_of(winners[0], 1);
        assert!(replays.iter().all(|replay| *replay == expected));
    }
    assert_eq!(stage.due(at(1)).await.len(), 5);
}

pub async fn a_claim_older_than_a_week_may_be_made_anew(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    stage.store.accept(first.clone(), now_due(), Some(claim("k", 1))).await.unwrap();
    let mut second = message(1);
    second.created_at = at(WEEK_MS);
    let replay = stage.store.accept(second.clone(), now_due(), Some(claim("k", 2))).await.unwrap();
    assert_eq!(replay, replay_of(first.id, 1), "a week to the millisecond still counts");
    second.created_at = at(WEEK_MS + 1);
    let renewed = stage.store.accept(second.clone(), now_due(), Some(claim("k", 2))).await.unwrap();
    assert_eq!(renewed, Accepted::New);
    let route = claim("k", 1).route;
    let found = stage.store.idempotent_target(&org_id(), &route, "k", at(WEEK_MS)).await.unwrap();
    assert_eq!(found, Some(([2; 32], IdempotentTarget::Message(second.id))));
    let late = at(WEEK_MS + 2);
    let expired = stage.store.idempotent_target(&org_id(), &route, "k", late).await.unwrap();
    assert_eq!(expired, None);
}

pub async fn a_refusal_frees_the_key_and_a_success_does_not(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (key, settlement, freed) in [("refused", refused(), true), ("sent", sent("wamid.1"), false)]
    {
        let first = message(1);
        let attempt = new_attempt();
        let start = waypost_engine::ports::Start::Attempt(attempt);
        stage.store.accept(first.clone(), start, Some(claim(key, 1))).await.unwrap();
        stage.settle(first.id, attempt, settlement).await;
        let again = stage.store.accept(message(1), now_due(), Some(claim(key, 2))).await.unwrap();
        assert_eq!(again == Accepted::New, freed, "{key}");
    }
}

pub async fn old_keys_are_forgotten(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for place in 0_u32..5 {
        let mut message = message(place);
        message.created_at = at(i64::from(place) * 10);
        let claim = claim(&format!("k{place}"), 1);
        stage.store.accept(message, now_due(), Some(claim)).await.unwrap();
    }
    assert_eq!(stage.store.forget_idempotency(at(20)).await.unwrap(), 2);
    assert_eq!(stage.store.forget_idempotency(at(20)).await.unwrap(), 0);
    let route = claim("k", 1).route;
    for (key, kept) in [("k0", false), ("k1", false), ("k2", true), ("k4", true)] {
        let found = stage.store.idempotent_target(&org_id(), &route, key, START).await.unwrap();
        assert_eq!(found.is_some(), kept, "{key}");
    }
}

pub async fn a_failed_accept_leaves_nothing_behind(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    stage.queue(&first).await;
    let twin = stage.store.accept(first, now_due(), Some(claim("k", 1))).await;
    assert_eq!(twin, Err(StoreError::Conflict("id")));
    let other = message(2);
    let accepted = stage.store.accept(other.clone(), now_due(), Some(claim("k", 2))).await.unwrap();
    assert_eq!(accepted, Accepted::New, "the key of what was not recorded is free");
    assert_eq!(stage.status(other.id).await, Status::Queued);
}

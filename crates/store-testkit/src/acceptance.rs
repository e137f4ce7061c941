//! Accepting messages, and idempotency keys.

use waypost_domain::content::{Component, MediaMessage, Parameter, TemplateMessage};
use waypost_domain::media::MediaKind;
use waypost_domain::{
    Content, CustomerId, MediaId, MediaRef, NumberId, OrgId, Phone, Status, UserId,
};
use waypost_engine::ports::{
    Accepted, Entry, Haste, IdempotencyClaim, IdempotentTarget, StoreError,
};

use crate::Harness;
use crate::samples::{
    START, Stage, at, attempted, claim, closed, message, new_attempt, now_due, org, org_id,
    refusal, refused, sent,
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
            cards: Vec::new(),
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
        let start = attempted(attempt);
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

pub async fn messages_of_one_request_are_accepted_together(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let messages: Vec<_> = (0..1_000).map(message).collect();
    let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
    let all: Vec<_> = messages.into_iter().map(|message| (message, now_due())).collect();
    let accepted = stage.store.accept_all(all.clone(), Some(claim("k", 1))).await.unwrap();
    assert_eq!(accepted, Accepted::New);
    let stage = stage.reopen(harness).await;
    assert_eq!(stage.due(at(1)).await, ids);
    let target = IdempotentTarget::Messages(ids.clone());
    let replay = Accepted::Replay { fingerprint: [1; 32], target: target.clone() };
    let again = vec![(message(1), now_due())];
    assert_eq!(stage.store.accept_all(again, Some(claim("k", 2))).await, Ok(replay));
    let found = stage.store.idempotent_target(&org_id(), &claim("k", 1).route, "k", START).await;
    assert_eq!(found, Ok(Some(([1; 32], target))));
    assert_eq!(stage.due(at(1)).await.len(), 1_000);
}

pub async fn of_a_request_that_cannot_be_recorded_nothing_stays(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let known = message(1);
    stage.queue(&known).await;
    let all = vec![(message(2), now_due()), (known, now_due())];
    let refused = stage.store.accept_all(all, Some(claim("k", 1))).await;
    assert_eq!(refused, Err(StoreError::Conflict("id")));
    assert_eq!(stage.due(at(1)).await.len(), 1);
    let all = vec![(message(2), now_due())];
    let accepted = stage.store.accept_all(all, Some(claim("k", 1))).await;
    assert_eq!(accepted, Ok(Accepted::New), "the key is free");
}

pub async fn a_refusal_frees_the_key_of_a_request_for_one_message(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (key, others, freed) in [("one", 0, true), ("two", 1, false)] {
        let all: Vec<_> = (0..=others).map(|place| (message(place), now_due())).collect();
        let first = all[0].0.id;
        let attempt = new_attempt();
        stage.store.accept_all(all, Some(claim(key, 1))).await.unwrap();
        stage.store.begin_attempt(Haste::AtOnce, first, attempt, at(1)).await.unwrap();
        stage.settle(first, attempt, refused()).await;
        let again =
            stage.store.accept_all(vec![(message(5), now_due())], Some(claim(key, 2))).await;
        assert_eq!(again == Ok(Accepted::New), freed, "{key}");
    }
}

pub async fn a_message_that_failed_at_its_acceptance_is_never_due(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut failed = message(1);
    failed.phone = Phone::nobody();
    failed.status = Status::Failed;
    failed.failure = Some(refusal());
    failed.settled_at = Some(START);
    let mut scoped = message(2);
    scoped.phone = Phone::business_scoped("US.1349abc").unwrap();
    scoped.options.expires_at = Some(at(1_000));
    let all = vec![(failed.clone(), closed()), (scoped.clone(), now_due())];
    stage.store.accept_all(all, None).await.unwrap();
    assert_eq!(stage.due(at(1)).await, [scoped.id]);
    let history = stage.history(failed.id).await;
    assert_eq!(history.message, failed);
    let lines: Vec<_> =
        history.statuses.iter().map(|line| (line.status, line.at, line.failure.as_ref())).collect();
    assert_eq!(lines, [(Status::Failed, START, failed.failure.as_ref())]);
    assert!(history.attempts.is_empty());
    assert_eq!(stage.message(scoped.id).await, scoped);
}

pub async fn a_store_that_keeps_up_turns_nothing_away(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    assert!(!stage.store.is_behind());
    for serial in 1..=20 {
        stage.store.accept(message(serial), now_due(), None).await.unwrap();
        assert!(!stage.store.is_behind(), "one after the other, nobody waits");
    }
}

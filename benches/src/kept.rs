//! Whether the log has what was answered with success, message by message, and nothing else.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::gateway::Gateway;
use crate::tenants::Tenant;
use crate::verdicts::message_id;

/// What a message may be that was accepted by a number whose upstream refuses nothing.
const KEPT: [&str; 6] = ["queued", "sending", "sent", "delivered", "read", "unknown"];
/// Statuses of messages that the upstream must have.
const SENT: [&str; 3] = ["sent", "delivered", "read"];

/// What a gateway's log tells.
#[derive(Default)]
pub(crate) struct Log {
    /// Messages that are sent or will be.
    ids: Vec<u128>,
    /// Messages that the upstream must have.
    pub(crate) sent: u64,
    /// Messages that came to another end.
    pub(crate) ended: u64,
}

impl Log {
    /// Reads what a gateway has of these organisations.
    ///
    /// # Errors
    /// When it does not tell.
    pub(crate) async fn read(gateway: &Gateway, tenants: &[Tenant]) -> Result<Self> {
        let mut log = Self::default();
        for tenant in tenants {
            tenant.visit_messages(gateway, |message| log.note(message)).await?;
        }
        Ok(log)
    }

    fn note(&mut self, message: &Value) -> Result<()> {
        let status = message["status"].as_str().context("a message has a status")?;
        if !KEPT.contains(&status) {
            self.ended += 1;
            return Ok(());
        }
        let id = message["id"].as_str().and_then(message_id).context("a message has an id")?;
        self.ids.push(id);
        self.sent += u64::from(SENT.contains(&status));
        Ok(())
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Compares it with the messages that callers were told of.
    pub(crate) fn balance(self, accepted: Vec<u128>) -> Balance {
        balance(self.ids, accepted)
    }
}

/// How a log and what callers were told differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Successes without a message. Two successes of one id promise two messages.
    pub(crate) lost: u64,
    /// Messages without a success.
    pub(crate) untold: u64,
}

fn balance(mut logged: Vec<u128>, mut accepted: Vec<u128>) -> Balance {
    logged.sort_unstable();
    accepted.sort_unstable();
    let mut balance = Balance::default();
    let mut logged = logged.into_iter().peekable();
    for id in accepted {
        while logged.next_if(|other| *other < id).is_some() {
            balance.untold += 1;
        }
        if logged.next_if_eq(&id).is_none() {
            balance.lost += 1;
        }
    }
    balance.untold += logged.count() as u64;
    balance
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Balance, Log, balance};

    #[test]
    fn finds_each_message_that_one_side_lacks() {
        for (logged, accepted, lost, untold) in [
            (vec![], vec![], 0, 0),
            (vec![3, 1, 2], vec![2, 3, 1], 0, 0),
            (vec![1, 3], vec![1, 2, 3], 1, 0),
            (vec![1, 2, 3], vec![2], 0, 2),
            (vec![], vec![7, 8], 2, 0),
            (vec![7, 8], vec![], 0, 2),
            (vec![1], vec![1, 1], 1, 0),
            (vec![5], vec![4], 1, 1),
        ] {
            let told = format!("{logged:?} {accepted:?}");
            assert_eq!(balance(logged, accepted), Balance { lost, untold }, "{told}");
        }
    }

    #[test]
    fn takes_a_message_for_kept_only_when_it_is_sent_or_will_be() {
        let mut log = Log::default();
        for (place, status) in
            ["queued", "sent", "unknown", "failed", "cancelled"].iter().enumerate()
        {
            let id = format!("0b8f1d52-7c0e-7a57-9a3c-{place:012}");
            log.note(&json!({ "id": id, "status": status })).unwrap();
        }
        assert_eq!((log.len(), log.sent, log.ended), (3, 1, 2));
        assert!(log.note(&json!({ "id": "?", "status": "sent" })).is_err());
    }
}

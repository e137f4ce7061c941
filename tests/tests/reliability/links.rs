//! Connections to the upstream that break at a chosen byte (T4, over real sockets).

use waypost_tests::campaign::links;

use crate::{assert_caught, assert_kept};

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_arrived_is_unknown_until_a_status_settles_it() {
    assert_kept(&links::run(None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_broken_reply_that_counts_as_not_sent_is_doubled() {
    let bug = "unknown-counts-as-not-sent";
    let words = ["at the upstream 2 times", "doubled:", "not unknown but failed"];
    assert_caught(bug, &links::run(Some(bug)).await, &words);
}

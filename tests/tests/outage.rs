//! An upstream that fails for a number, or refuses everything of it, as operators see it: in the
//! queues, on the command line and in the metrics, until it works again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use serde_json::{Value, json};
use tokio::process::Command;
use waypost_tests::fixture::NUMBER_ID;
use waypost_tests::mock_upstream::Deed;
use waypost_tests::{MockUpstream, Waypost, binary, eventually};

/// Enough failures in a row for the queue to be only probed.
const MESSAGES: usize = 6;

/// Queues messages to people who need not wait for each other.
async fn queue(waypost: &Waypost, count: usize) {
    let path = format!("/orgs/{}/messages", waypost.variable("WAYPOST_ORG_ID"));
    for person in 0..count {
        let body = json!({"number": NUMBER_ID, "to": format!("1555000{person:04}"), "type": "text",
            "text": {"body": "hello"}});
        waypost.admin().post(&path, &body).await.ok();
    }
}

/// The number as the queues show it; `None` where nothing of it waits and nothing hinders it.
async fn number(waypost: &Waypost) -> Option<Value> {
    let queues = waypost.admin().get("/queues").await.expect(200).json();
    queues["numbers"].as_array().unwrap().first().cloned()
}

/// What the metrics say of the number's outage: whether there is one, and whether it is locked.
async fn shown(waypost: &Waypost) -> [String; 2] {
    let metrics = waypost.get("/metrics").await.expect(200).text();
    ["waypost_outage", "waypost_outage_locked"].map(|name| {
        let start = format!("{name}{{number=\"");
        let line = metrics.lines().find(|line| line.starts_with(&start)).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    })
}

/// What `waypost admin queues` prints, the notes last.
async fn printed(waypost: &Waypost) -> String {
    let mut command = Command::new(binary::path());
    command.args(["admin", "queues", "--data-dir"]).arg(waypost.data_dir());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WAYPOST_") {
            command.env_remove(name);
        }
    }
    let output = command.current_dir(waypost.folder().path()).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let texts = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    texts.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_seen_while_it_lasts() {
    let mock = MockUpstream::start().await;
    let waypost = Waypost::before(&mock).await;
    queue(&waypost, 1).await;
    eventually("a message that is sent", async || (mock.accepted() == 1).then_some(())).await;
    assert_eq!(shown(&waypost).await, ["0", "0"]);
    mock.messages_meet(Deed::Code(503, 131_016));
    queue(&waypost, MESSAGES).await;
    let outage = eventually("an outage", async || {
        let outage = number(&waypost).await?["outage"].clone();
        outage["since"].is_string().then_some(outage)
    })
    .await;
    assert_eq!(outage["locked"], false, "{outage}");
    assert!(outage.get("next_probe_at").is_some(), "{outage}");
    assert_eq!(shown(&waypost).await, ["1", "0"]);
    let printed = printed(&waypost).await;
    assert!(printed.contains("OUTAGE") && printed.contains("down since 20"), "{printed}");
    mock.messages_meet(Deed::Accept);
    eventually("all sent", async || (mock.accepted() == MESSAGES + 1).then_some(())).await;
    eventually("the end of the outage", async || {
        (shown(&waypost).await == ["0", "0"]).then_some(())
    })
    .await;
    assert_eq!(number(&waypost).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_locked_asks_for_an_operator() {
    let mock = MockUpstream::start().await;
    let waypost = Waypost::before(&mock).await;
    mock.messages_meet(Deed::Code(401, 190));
    queue(&waypost, 1).await;
    let outage = eventually("an outage", async || {
        let outage = number(&waypost).await?["outage"].clone();
        outage["since"].is_string().then_some(outage)
    })
    .await;
    assert_eq!(outage["locked"], true, "{outage}");
    assert_eq!(shown(&waypost).await, ["1", "1"]);
    let printed = printed(&waypost).await;
    assert!(printed.contains("locked since 20"), "{printed}");
    assert!(printed.contains("Meta refuses everything of a number"), "{printed}");
}

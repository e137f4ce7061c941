//! Media over real sockets: upload, address, download, delete, expiry, links, resumable samples.

mod rig;

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Method;
use rig::{CLOSED, NUMBER, OPEN, PNG, Rig, answer, message, refused};
use serde_json::json;

#[tokio::test]
async fn keeps_a_file_for_upload_download_and_delete() {
    let folder = tempfile::tempdir().unwrap();
    for state_dir in [None, Some(folder.path().to_owned())] {
        let rig = Rig::start_in(state_dir).await;
        for (part, kind) in [("image/png", Some("image/png")), ("image/png", None)] {
            let (status, body) = rig.upload(PNG, part, kind).await;
            assert_eq!(status, 200, "{body}");
        }
        let (_, body) = rig.upload(PNG, "application/octet-stream", Some("image/png")).await;
        let id = body["id"].as_str().unwrap().to_owned();
        let (status, info) = rig.get(&format!("/v25.0/{id}?phone_number_id={NUMBER}")).await;
        assert_eq!(status, 200, "{info}");
        assert_eq!(info["mime_type"], "image/png");
        assert_eq!(info["file_size"], PNG.len().to_string());
        assert_eq!(info["sha256"].as_str().unwrap().len(), 64);
        refused(&rig.get(&format!("/{id}?phone_number_id=999")).await, 400, 100);

        let url = info["url"].as_str().unwrap();
        let fetched = rig.http.get(url).bearer_auth("token").send().await.unwrap();
        assert_eq!(fetched.headers()["content-type"], "image/png");
        assert_eq!(fetched.bytes().await.unwrap(), PNG);
        refused(&answer(rig.http.get(url).send().await.unwrap()).await, 401, 190);
        let posted = rig.http.post(url).bearer_auth("token").send().await.unwrap();
        assert_eq!(posted.headers()["allow"], "GET");
        refused(&answer(posted).await, 405, 100);
        let forged = url.replace("hash=", "hash=0");
        let forged = rig.http.get(forged).bearer_auth("token").send().await.unwrap();
        assert_eq!(forged.status(), 404);
        rig.clock.advance(Duration::from_secs(300));
        let late = rig.http.get(url).bearer_auth("token").send().await.unwrap();
        assert_eq!(late.status(), 404, "after five minutes");

        assert_eq!(rig.delete(&format!("/{id}")).await, (200, json!({"success": true})));
        let gone = rig.get(&format!("/{id}")).await;
        refused(&gone, 400, 100);
        assert_eq!(gone.1["error"]["error_subcode"], 33);
    }
}

#[tokio::test]
async fn forgets_uploads_after_thirty_days() {
    let rig = Rig::start().await;
    let (_, body) = rig.upload(PNG, "image/png", None).await;
    let path = format!("/{}", body["id"].as_str().unwrap());
    rig.clock.advance(Duration::from_secs(30 * 86_400 - 1));
    assert_eq!(rig.get(&path).await.0, 200);
    rig.clock.advance(Duration::from_secs(1));
    refused(&rig.get(&path).await, 400, 100);
}

#[tokio::test]
async fn refuses_uploads_without_file_of_a_wrong_type_or_size() {
    let rig = Rig::start().await;
    static HUGE: [u8; 5 * 1_048_576 + 1] = [0; 5 * 1_048_576 + 1];
    refused(&rig.upload(b"GIF89a", "image/gif", None).await, 400, 100);
    refused(&rig.upload(&HUGE, "image/jpeg", None).await, 400, 100);
    refused(&rig.upload(b"", "image/png", None).await, 400, 100);
}

#[tokio::test]
async fn needs_the_file_and_the_product() {
    let rig = Rig::start().await;
    let path = format!("/{NUMBER}/media");
    let post = |form| rig.call(Method::POST, &path).multipart(form).send();
    let form = reqwest::multipart::Form::new().text("messaging_product", "whatsapp");
    refused(&answer(post(form).await.unwrap()).await, 400, 100);
    let file = reqwest::multipart::Part::bytes(PNG).mime_str("image/png").unwrap();
    let form = reqwest::multipart::Form::new().part("file", file);
    refused(&answer(post(form).await.unwrap()).await, 400, 100);
    refused(&rig.post(&path, &json!({})).await, 400, 100);
}

#[tokio::test]
async fn fails_a_file_that_is_not_what_it_claims_only_when_it_is_sent() {
    let mut rig = Rig::start().await;
    let (status, body) = rig.upload(b"not a picture", "image/png", None).await;
    assert_eq!(status, 200);
    let wamid = rig.sent(&message(OPEN, "image", json!({"id": body["id"]}))).await;
    assert_eq!(rig.status_of(&wamid).await["errors"][0]["code"], 131_053);
    let (_, body) = rig.upload(PNG, "image/png", None).await;
    let wamid = rig.sent(&message(OPEN, "video", json!({"id": body["id"]}))).await;
    assert_eq!(rig.status_of(&wamid).await["errors"][0]["code"], 131_053);
    for kind in ["image", "document"] {
        let wamid = rig.sent(&message(OPEN, kind, json!({"id": body["id"]}))).await;
        assert_eq!(rig.status_of(&wamid).await["status"], "sent", "{kind}");
    }
}

#[tokio::test]
async fn fetches_links_once_in_ten_minutes_and_fails_messages_by_bad_ones() {
    let mut rig = Rig::start().await;
    let image = |link: &str| message(OPEN, "image", json!({"link": link}));
    for _ in 0..2 {
        let wamid = rig.sent(&image("https://example.com/good.png")).await;
        assert_eq!(rig.status_of(&wamid).await["status"], "sent");
    }
    assert_eq!(rig.links.fetched.load(Ordering::SeqCst), 1);
    rig.clock.advance(Duration::from_secs(600));
    let wamid = rig.sent(&image("https://example.com/good.png")).await;
    assert_eq!(rig.status_of(&wamid).await["status"], "sent");
    assert_eq!(rig.links.fetched.load(Ordering::SeqCst), 2);
    for bad in ["page.html", "liar.png", "missing.png"] {
        let wamid = rig.sent(&image(&format!("https://example.com/{bad}"))).await;
        let failed = rig.status_of(&wamid).await;
        assert_eq!(failed["errors"][0]["code"], 131_053, "{bad}: {failed}");
    }
    for any in ["good.png", "page.html"] {
        let link = json!({"link": format!("https://example.com/{any}")});
        let wamid = rig.sent(&message(OPEN, "document", link)).await;
        assert_eq!(rig.status_of(&wamid).await["status"], "sent", "{any} is a document");
    }
    let header = json!([{"type": "header", "parameters": [{"type": "image", "image": {"link": "https://example.com/missing.png"}}]},
        {"type": "body", "parameters": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]);
    let template =
        json!({"name": "order_update", "language": {"code": "en_US"}, "components": header});
    let wamid = rig.sent(&message(CLOSED, "template", template)).await;
    assert_eq!(rig.status_of(&wamid).await["errors"][0]["code"], 131_053);
}

#[tokio::test]
async fn media_of_people_can_be_downloaded_for_seven_days() {
    let mut rig = Rig::start().await;
    let image = json!({"data": "iVBORw0KGgo=", "mime_type": "image/png", "caption": "look"});
    rig.control("inbound", &json!({"from": OPEN, "type": "image", "image": image})).await;
    let update = rig.update(|update| update["value"].get("messages").is_some()).await;
    let image = update["value"]["messages"][0]["image"].clone();
    assert_eq!(image["caption"], "look");
    assert!(image.get("data").is_none());
    assert_eq!(image["sha256"].as_str().unwrap().len(), 44, "base64 in webhooks");
    let path = format!("/{}", image["id"].as_str().unwrap());
    let (_, info) = rig.get(&path).await;
    let bytes = rig.http.get(info["url"].as_str().unwrap()).bearer_auth("token").send().await;
    assert_eq!(&bytes.unwrap().bytes().await.unwrap()[..], b"\x89PNG\r\n\x1a\n");
    rig.clock.advance(Duration::from_secs(7 * 86_400));
    refused(&rig.get(&path).await, 400, 100);
}

#[tokio::test]
async fn a_later_start_still_has_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let id = {
        let rig = Rig::start_in(Some(folder.path().to_owned())).await;
        rig.upload(PNG, "image/png", None).await.1["id"].clone()
    };
    let rig = Rig::start_in(Some(folder.path().to_owned())).await;
    assert_eq!(rig.get(&format!("/{}", id.as_str().unwrap())).await.0, 200);
    let next = rig.upload(PNG, "image/png", None).await.1["id"].clone();
    assert_ne!(next, id);
    rig.delete("/_sandbox/state").await;
    let left = std::fs::read_dir(folder.path().join("media")).unwrap().count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn takes_template_samples_in_parts() {
    let rig = Rig::start().await;
    let path = "/v25.0/100000000000003/uploads?file_length=6&file_type=image/png&file_name=a";
    let (status, session) = rig.post(path, &json!({})).await;
    refused(&rig.post("/100000000000003/uploads", &json!({})).await, 400, 100);
    assert_eq!(status, 200, "{session}");
    let url = format!("{}/v25.0/{}", rig.base, session["id"].as_str().unwrap());
    let part = rig.http.post(url).header("authorization", "OAuth token").header("file_offset", "0");
    let (status, handle) = answer(part.body("sample").send().await.unwrap()).await;
    assert_eq!(status, 200);
    assert!(handle["h"].is_string());
}

#[tokio::test]
async fn the_page_gets_files_in_ranges() {
    let folder = tempfile::tempdir().unwrap();
    for rig in [Rig::start().await, Rig::start_in(Some(folder.path().to_owned())).await] {
        let (_, media) = rig.upload(b"OggS0123456789", "audio/ogg", None).await;
        let url = format!("{}/_sandbox/handset/media/{}", rig.base, media["id"].as_str().unwrap());
        let cases = [
            (None, 200, "OggS0123456789", None),
            (Some("bytes=0-"), 206, "OggS0123456789", Some("bytes 0-13/14")),
            (Some("bytes=4-6"), 206, "012", Some("bytes 4-6/14")),
            (Some("bytes=-2"), 206, "89", Some("bytes 12-13/14")),
            (Some("bytes=99-"), 200, "OggS0123456789", None),
        ];
        for (range, status, text, said) in cases {
            let mut request = rig.http.get(&url);
            if let Some(range) = range {
                request = request.header("range", range);
            }
            let response = request.send().await.unwrap();
            let told =
                response.headers().get("content-range").map(|v| v.to_str().unwrap().to_owned());
            assert_eq!((response.status().as_u16(), told.as_deref()), (status, said), "{range:?}");
            assert_eq!(response.text().await.unwrap(), text, "{range:?}");
        }
    }
}

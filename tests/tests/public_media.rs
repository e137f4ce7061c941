//! Files that the gateway serves at public addresses are inert (T25): never sniffed, never shown in
//! place, of an allowed type, with a file name that cannot break out of its header.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use waypost_tests::files::{JPEG, MP4, PDF, PNG};
use waypost_tests::fixture::upload_form;
use waypost_tests::{Reply, Waypost};

async fn upload(waypost: &Waypost, mime_type: &str, bytes: &[u8], filename: &str) -> Reply {
    let form = upload_form(&waypost.variable("WAYPOST_ORG_ID"), mime_type, bytes, filename);
    let request = waypost.request(Method::POST, "/whatsapp/uploads/media_upload");
    Reply::to(request.header("X-API-KEY", waypost.variable("WAYPOST_API_KEY")).multipart(form))
        .await
}

async fn about(waypost: &Waypost, id: &Value) -> Value {
    let org = waypost.variable("WAYPOST_ORG_ID");
    let path = format!("/orgs/{org}/media/{}", id.as_str().unwrap());
    waypost.admin().get(&path).await.expect(200).json()
}

async fn public(waypost: &Waypost, about: &Value) -> Reply {
    let url = about["url"].as_str().unwrap();
    waypost.get(url.strip_prefix(waypost.url()).unwrap()).await
}

fn assert_inert(reply: &Reply, mime_type: &str, what: &str) {
    assert_eq!(reply.status, 200, "{what}");
    assert_eq!(reply.header("content-type"), Some(mime_type), "{what}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{what}");
    let disposition = reply.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment"), "{what}: {disposition}");
    let policy = reply.header("content-security-policy").unwrap();
    assert!(
        policy.contains("sandbox") && policy.contains("default-src 'none'"),
        "{what}: {policy}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_file_is_served_inert_and_whole() {
    let waypost = Waypost::start().await;
    let html_as_text = b"<html><script>alert(1)</script></html>";
    let svg_as_text = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
    let polyglot = [PNG, b"<script>alert(1)</script>"].concat();
    let scripted = [PDF, b"\n/OpenAction << /S /JavaScript /JS (app.alert(1)) >>"].concat();
    for (mime_type, bytes) in [
        ("image/png", PNG),
        ("image/jpeg", JPEG),
        ("application/pdf", PDF),
        ("video/mp4", MP4),
        ("text/plain", html_as_text),
        ("text/plain", svg_as_text),
        ("image/png", &polyglot),
        ("application/pdf", &scripted),
    ] {
        let id = upload(&waypost, mime_type, bytes, "file").await.expect(200).json()["id"].clone();
        let reply = public(&waypost, &about(&waypost, &id).await).await;
        assert_inert(&reply, mime_type, mime_type);
        assert_eq!(reply.body, bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_browsers_run_are_not_taken() {
    let waypost = Waypost::start().await;
    for mime_type in
        ["text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript", "text/xml"]
    {
        let refused = upload(&waypost, mime_type, b"<html>", "x.html").await.expect(415);
        assert_eq!(refused.json()["error"]["code"], "unsupported_media_type");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_file_names_do_no_harm() {
    let waypost = Waypost::start().await;
    let long = "n".repeat(300);
    for name in [
        "a\"; filename=evil.html",
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "evil\u{202e}fdp.exe",
        "ünïcödé 😀.pdf",
        "semi;colon.pdf",
        "%0d%0aSet-Cookie: a=b",
        ".",
        "..",
        &long,
    ] {
        let id =
            upload(&waypost, "application/pdf", PDF, name).await.expect(200).json()["id"].clone();
        let entry = about(&waypost, &id).await;
        let kept = entry["filename"].as_str().unwrap_or_default();
        assert!(!kept.contains(['/', '\\', '\u{202e}']) && kept.len() <= 255, "{kept:?}");
        let reply = public(&waypost, &entry).await;
        assert_inert(&reply, "application/pdf", name);
        assert!(reply.header("set-cookie").is_none());
        let disposition = reply.header("content-disposition").unwrap();
        assert!(disposition.is_ascii() && disposition.len() < 2_000, "{disposition}");
        let quotes = disposition.matches('"').count();
        assert!(quotes == 0 || quotes == 2, "{disposition}");
        assert!(!disposition.contains("..") || !disposition.contains('/'), "{disposition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_ends_in_a_file_name_reach_no_header() {
    let waypost = Waypost::start().await;
    // By hand, for clients' libraries escape them.
    let boundary = "b0undary";
    let mut body = Vec::new();
    for (name, value) in
        [("orgId", waypost.variable("WAYPOST_ORG_ID")), ("type", "application/pdf".to_owned())]
    {
        body.extend_from_slice(
            format!(
                "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
            .as_bytes(),
        );
    }
    body.extend_from_slice(format!("--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a%0D%0ASet-Cookie: x=1\rSet-Cookie: y=2.pdf\"\r\n\r\n").as_bytes());
    body.extend_from_slice(PDF);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let request = waypost.request(Method::POST, "/whatsapp/uploads/media_upload");
    let request = request.header("X-API-KEY", waypost.variable("WAYPOST_API_KEY"));
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let reply = Reply::to(request.header("content-type", content_type).body(body)).await;
    if reply.status == 200 {
        let entry = about(&waypost, &reply.json()["id"]).await;
        let served = public(&waypost, &entry).await;
        assert_inert(&served, "application/pdf", "line ends");
        assert!(served.header("set-cookie").is_none(), "{:?}", served.headers);
    } else {
        assert_eq!(reply.status, 400, "{}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_nobody_was_given_lead_nowhere() {
    let waypost = Waypost::start().await;
    let id = upload(&waypost, "image/png", PNG, "p.png").await.expect(200).json()["id"].clone();
    let entry = about(&waypost, &id).await;
    let url = entry["url"].as_str().unwrap();
    let path = url.strip_prefix(waypost.url()).unwrap();
    let name = path.strip_prefix("/media/").unwrap().strip_suffix(".png").unwrap();
    assert!(name.len() >= 22, "{name} can be guessed");
    let other_end = if name.ends_with('x') { 'y' } else { 'x' };
    for wrong in [
        format!("/media/{}.png", id.as_str().unwrap()),
        format!("/media/{name}.html"),
        format!("/media/{name}"),
        format!("/media/{}{other_end}.png", &name[..name.len() - 1]),
        "/media/".to_owned(),
        "/media/..%2fadmin.env".to_owned(),
        "/media/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        format!("/media/{name}.png/x"),
    ] {
        assert_eq!(waypost.get(&wrong).await.status, 404, "{wrong}");
    }
    let address = waypost.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let raw =
        format!("GET /media/../demo.env HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(raw.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_file_is_gone_and_ours_is_sent_by_id() {
    let waypost = Waypost::start().await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let id = upload(&waypost, "application/pdf", PDF, "offer.pdf").await.expect(200).json()["id"]
        .clone();
    let entry = about(&waypost, &id).await;
    let document = json!({"link": entry["url"], "filename": "offer.pdf"});
    let message = waypost.demo_message(&json!({"type": "document", "document": document}));
    waypost.replyhero("/whatsapp/messages/send", &message).await.expect(200);
    let sent = waypost.sandbox().ledger().await[0]["message"]["document"].clone();
    assert!(sent["link"].is_null() && sent["id"].is_string(), "{sent}");
    let path = format!("/orgs/{org}/media/{}", id.as_str().unwrap());
    waypost.admin().delete(&path).await.ok();
    assert_eq!(public(&waypost, &entry).await.status, 404);
    assert_eq!(waypost.admin().get(&path).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_stored_on_the_command_line_gets_a_public_address() {
    let waypost = Waypost::start().await;
    for (name, bytes, mime_type) in
        [("offer.pdf", PDF, "application/pdf"), ("teal \"1\".png", PNG, "image/png")]
    {
        let file = waypost.folder().path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let output = tokio::process::Command::new(waypost_tests::binary::path())
            .args(["admin", "media", "upload", "--json", "--data-dir"])
            .arg(waypost.data_dir())
            .arg(&file)
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let stored: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ending = name.rsplit_once('.').unwrap().1;
        let url = stored["url"].as_str().unwrap();
        assert!(url.ends_with(&format!(".{ending}")), "{url}");
        assert_eq!(stored, about(&waypost, &stored["id"]).await);
        let reply = public(&waypost, &stored).await;
        assert_inert(&reply, mime_type, name);
        assert_eq!(reply.body, bytes);
    }
}

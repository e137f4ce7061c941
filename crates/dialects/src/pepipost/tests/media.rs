//! The media calls.

use waypost_domain::MediaId;
use waypost_domain::media::MEGABYTE;

use super::*;
use crate::contract::{FormFile, Manage, Task, UploadMedia};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const JPEG: &[u8] = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0";
const PDF: &[u8] = b"%PDF-1.7\n";
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\0\xFF";
const ZIP: &[u8] = b"PK\x03\x04\x14\0";
const STILL: &[u8] = b"RIFF\x10\0\0\0WEBPVP8 \0\0\0\0\0\0\0\0";
const MOVING: &[u8] = b"RIFF\x10\0\0\0WEBPVP8X\x0A\0\0\0\x02\0\0\0";

fn upload(
    name: &str,
    declared: Option<&str>,
    head: &[u8],
    size: u64,
) -> Result<UploadMedia, Failure> {
    let file = FormFile {
        filename: Some(name.to_owned()),
        content_type: declared.map(str::to_owned),
        size,
        head: head.to_vec(),
    };
    read(&Form { fields: Vec::new(), file: Some(file) })
}

fn read(form: &Form) -> Result<UploadMedia, Failure> {
    match ask(route(&Method::POST, wire::UPLOAD_PATH), Body::Form(form), &[], &[])? {
        Command::UploadMedia(upload) => Ok(upload),
        other => panic!("{other:?}"),
    }
}

/// 46
#[test]
fn the_bytes_decide_what_a_file_is() {
    let octets = Some("application/octet-stream");
    let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    for (name, declared, head, expected) in [
        ("a.png", Some("image/png"), PNG, "image/png"),
        ("a.png", Some("image/gif"), PNG, "image/png"),
        ("a", None, JPEG, "image/jpeg"),
        ("a.jpg", Some("image/jpeg"), PDF, "application/pdf"),
        ("a.docx", octets, ZIP, docx),
        ("a.xyz", Some(docx), ZIP, docx),
        ("a.txt", None, b"hello", "text/plain"),
        ("a.txt", Some("text/plain"), b"\xFF\xFEh\0", "text/plain"),
        ("a.m4a", Some("audio/mp4"), b"\0\0\0\x18ftypM4A ", "audio/mp4"),
        ("a.mp4", octets, b"\0\0\0\x18ftypmp42", "video/mp4"),
        ("a.pdf", Some("application/pdf"), b"\x01\x02", "application/pdf"),
    ] {
        let upload = upload(name, declared, head, head.len() as u64).unwrap();
        assert_eq!(upload.mime_type.as_str(), expected, "{name} {declared:?}");
        assert_eq!(upload.org_id.as_str(), "org-1");
        assert_eq!(upload.filename.as_deref(), Some(name));
    }
}

/// 46
#[test]
fn other_files_are_refused() {
    for (name, declared, head) in [
        ("a.gif", Some("image/gif"), GIF),
        ("a.zip", Some("application/zip"), ZIP),
        ("a.html", Some("text/html"), b"<html>" as &[u8]),
        ("a", None, b"\x01\x02"),
        ("a.png", Some("image/png"), b"plain text"),
    ] {
        let result = upload(name, declared, head, head.len() as u64);
        assert_answered(result, wire::UPLOAD_PATH, (415, "8008", BAD_MEDIA));
    }
}

/// 46
#[test]
fn files_have_limits_by_kind() {
    for (head, limit) in [
        (PNG, 5 * MEGABYTE),
        (PDF, 100 * MEGABYTE),
        (STILL, 100 * 1_024),
        (MOVING, 500 * 1_024),
        (b"OggS\0\x02" as &[u8], 16 * MEGABYTE),
    ] {
        upload("a", None, head, limit).unwrap();
        let result = upload("a", None, head, limit + 1);
        assert_answered(result, wire::UPLOAD_PATH, (413, "8008", BAD_MEDIA));
    }
}

/// 46
#[test]
fn a_file_is_required() {
    assert_answered(read(&Form::default()), wire::UPLOAD_PATH, (400, "8001", MISSING));
    assert_answered(upload("a", None, b"", 0), wire::UPLOAD_PATH, (400, "8001", MISSING));
    let route = route(&Method::POST, wire::UPLOAD_PATH);
    let result = ask(route, Body::Json(b"{}"), &[], &[]);
    assert_answered(result, wire::UPLOAD_PATH, (400, "8001", MISSING));
}

/// 47
#[test]
fn a_file_is_fetched_and_removed_by_its_id() {
    let media_id = || MediaId::new("1000000000000042");
    for (method, task) in [
        (Method::GET, Task::FetchMedia { media_id: media_id() }),
        (Method::DELETE, Task::RemoveMedia { media_id: media_id() }),
    ] {
        let route = route(&method, wire::MEDIA_PATH);
        let command = ask(route, Body::None, &[("id", MID)], &[]).unwrap();
        let org_id = OrgId::new("org-1");
        assert_eq!(command, Command::Manage(Box::new(Manage { org_id, task })));
        let failure = Failure::new(ErrorKind::MediaNotFound, "No such file.");
        let reply = reply_at(&failure, &method, wire::MEDIA_PATH);
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status.as_u16(), &body["error"]["code"]), (404, &json!("8008")));
    }
}

#[test]
fn ids_are_uuids_that_can_be_read_back() {
    for digits in ["1000000000000042", "0000000000000000", "9999999999999999", "8080808080808080"] {
        let text = wire::media_uuid(&MediaId::new(digits));
        let uuid = waypost_domain::MessageId::parse(&text).expect("a UUID");
        assert_eq!(uuid.to_string(), text);
        assert_eq!((text.as_bytes()[14], text.as_bytes()[19]), (b'8', b'8'), "version and variant");
        assert_eq!(wire::media_id(&text).as_str(), digits);
        assert_eq!(wire::media_id(digits).as_str(), digits);
    }
    for text in [
        "77702d6d-6564-8001-8000-00000000004",
        "77702d6d-6564-8001-8000-0000000000422",
        "77702d6d-6564-8001-9000-000000000042",
        "87702d6d-6564-8001-8000-000000000042",
        "77702d6d-6564-800a-8000-000000000042",
        "77702d6d656480018000000000000042",
        "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7be0",
        "",
        "-",
        "ü",
        "../../etc",
    ] {
        assert_eq!(wire::media_id(text).as_str(), text);
    }
}

//! Uploads.

use waypost_domain::media::MEGABYTE;

use super::*;
use crate::contract::{Form, FormFile, UploadMedia};

fn form(fields: &[(&str, &str)], head: &[u8], size: u64) -> Form {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let file = FormFile {
        filename: Some("dir/example.jpeg".to_owned()),
        content_type: Some("application/octet-stream".to_owned()),
        size,
        head: head.to_vec(),
    };
    Form { fields: fields.collect(), file: Some(file) }
}

/// **U**: a valid upload.
fn valid() -> Form {
    form(&[("orgId", "org-1"), ("type", "image/jpg")], JPEG, JPEG.len() as u64)
}

fn upload(form: &Form) -> Result<UploadMedia, Failure> {
    let operation = Operation::UploadMedia;
    match ReplyHero.decode(&request(operation, Body::Form(form)))? {
        Command::UploadMedia(upload) => Ok(upload),
        other => panic!("{other:?}"),
    }
}

/// 56
#[test]
fn reads_an_upload() {
    let upload = upload(&valid()).unwrap();
    assert_eq!(upload.org_id.as_str(), "org-1");
    assert_eq!(upload.mime_type.as_str(), "image/jpeg");
    assert_eq!(upload.filename.as_deref(), Some("example.jpeg"));
}

/// 57
#[test]
fn blanks_and_one_pair_of_quotes_are_stripped() {
    for (org, mime, expected) in [
        ("\"org-1\"", "\"image/jpg\"", "org-1"),
        ("  \"org-1\"\r\n", " image/jpeg ", "org-1"),
        ("\"\"org-1\"\"", "IMAGE/JPG", "\"org-1\""),
        ("\"org-1", "image/jpeg; q=1", "\"org-1"),
    ] {
        let form = form(&[("orgId", org), ("type", mime)], JPEG, JPEG.len() as u64);
        let upload = upload(&form).unwrap();
        assert_eq!(upload.org_id.as_str(), expected);
        assert_eq!(upload.mime_type.as_str(), "image/jpeg");
    }
}

/// 58
#[test]
fn every_part_is_required() {
    for name in ["orgId", "type"] {
        let mut missing = valid();
        missing.fields.retain(|(key, _)| key != name);
        assert_refused(upload(&missing), ErrorKind::MissingField, Some(name));
        for blank in ["", "  ", "\"\"", "\" \"", "\u{0}"] {
            let mut form = valid();
            form.fields.iter_mut().filter(|(key, _)| key == name).for_each(|(_, value)| {
                blank.clone_into(value);
            });
            assert_refused(upload(&form), ErrorKind::InvalidValue, Some(name));
        }
    }
    assert_refused(upload(&Form { file: None, ..valid() }), ErrorKind::MissingField, Some("file"));
    let empty = form(&[("orgId", "org-1"), ("type", "image/jpg")], b"", 0);
    assert_refused(upload(&empty), ErrorKind::InvalidValue, Some("file"));
    let long = "x".repeat(257);
    let long = form(&[("orgId", &long), ("type", "image/jpg")], JPEG, 9);
    assert_refused(upload(&long), ErrorKind::ValueTooLong, Some("orgId"));
}

/// 59
#[test]
fn the_type_must_be_offered() {
    for mime in ["audio/mpeg", "image/webp", "image/gif", "application/zip", "jpeg"] {
        let form = form(&[("orgId", "org-1"), ("type", mime)], JPEG, JPEG.len() as u64);
        assert_refused(upload(&form), ErrorKind::UnsupportedMediaType, Some("type"));
    }
}

/// 60
#[test]
fn a_file_may_be_as_large_as_its_kind() {
    let head = b"\0\0\0\x18ftypmp42";
    let video = |size: u64| upload(&form(&[("orgId", "org-1"), ("type", "video/mp4")], head, size));
    assert!(video(16 * MEGABYTE).is_ok());
    assert_refused(video(16 * MEGABYTE + 1), ErrorKind::MediaTooLarge, Some("file"));
}

#[test]
fn the_signature_wins_within_a_kind_and_refuses_another() {
    let with_head =
        |mime: &str, head: &[u8]| upload(&form(&[("orgId", "org-1"), ("type", mime)], head, 9_999));
    assert_eq!(with_head("image/jpeg", PNG).unwrap().mime_type.as_str(), "image/png");
    assert_eq!(with_head("video/3gp", b"\xF0").unwrap().mime_type.as_str(), "video/3gpp");
    let refused = with_head("image/jpeg", PDF);
    assert_refused(refused, ErrorKind::UnsupportedMediaType, Some("file"));
    // The head of a longer text may end inside a character.
    assert_eq!(with_head("text/plain", b"a\xC3").unwrap().mime_type.as_str(), "text/plain");
}

#[test]
fn a_file_without_a_name_is_accepted() {
    let mut form = valid();
    form.file.as_mut().unwrap().filename = None;
    assert_eq!(upload(&form).unwrap().filename, None);
}

//! The seven spellings of a file's bytes.

use super::*;

fn spelled(declared: &str, data: &Value) -> Result<InlineFile, Failure> {
    let kind = declared.split('/').next().filter(|kind| *kind == "image").unwrap_or("document");
    let file = json!({
        "name": "f", "type": declared, "displayType": kind, "extension": "x", "data": data,
    });
    let mut body = text();
    body["message"] = json!({"type": kind, kind: {"file": file}});
    send(&body).map(file_of)
}

fn python(bytes: &[u8], quote: char) -> String {
    let mut text = format!("b{quote}");
    for byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            byte if char::from(*byte) == quote => text.extend(['\\', quote]),
            b' '..=b'~' => text.push(char::from(*byte)),
            byte => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push(quote);
    text
}

/// 29
#[test]
fn one_file_has_many_spellings() {
    let standard = base64(PNG);
    let url_safe = standard.replace('+', "-").replace('/', "_").replace('=', "");
    let numbers: Vec<String> = PNG.iter().map(u8::to_string).collect();
    for data in [
        json!(standard),
        json!(url_safe),
        json!(standard.replace('=', "")),
        json!(format!("  {}\r\n{}\t", &standard[..5], &standard[5..])),
        json!(format!("data:image/png;base64,{standard}")),
        json!(format!("DATA:;BASE64,{url_safe}")),
        json!(format!("data:image/png;name=a.png;base64,{standard}")),
        json!(python(PNG, '\'')),
        json!(python(PNG, '"')),
        json!(numbers.join(",")),
        json!(format!("[{}]", numbers.join(", "))),
        json!(format!(" [ {} ] ", numbers.join(" ,\n"))),
        json!(PNG),
        json!({"type": "Buffer", "data": PNG}),
        json!(PNG.iter().map(|byte| char::from(*byte)).collect::<String>()),
    ] {
        let file = spelled("image/png", &data).unwrap();
        assert_eq!(file.bytes, PNG, "{data}");
        assert_eq!(file.mime_type.as_str(), "image/png");
    }
}

#[test]
fn escapes_in_the_json_make_no_difference() {
    // PHP escapes every slash, and some writers everything that is not ASCII.
    let jpeg: Vec<u8> = JPEG.iter().copied().chain([0xFF; 90]).collect();
    let escaped = base64(&jpeg).replace('/', "\\/");
    assert!(escaped.contains("\\/"));
    for data in [escaped.clone(), format!("data:image\\/jpeg;base64,{escaped}")] {
        let body = inline().to_string().replace(&base64(PNG), &data);
        let sent = decode(Operation::SendMessage, body.as_bytes()).unwrap();
        let Command::SendMessage(sent) = sent else { panic!() };
        assert_eq!(file_of(*sent).bytes, jpeg);
    }
    let latin1: String = PNG.iter().map(|byte| format!("\\u{byte:04x}")).collect();
    let body = inline().to_string().replace(&base64(PNG), &latin1);
    let sent = decode(Operation::SendMessage, body.as_bytes()).unwrap();
    let Command::SendMessage(sent) = sent else { panic!() };
    assert_eq!(file_of(*sent).bytes, PNG);
}

#[test]
fn large_base64_is_decoded_across_chunks() {
    for len in [4_095, 4_096, 4_097, 12_288, 12_289, 70_000] {
        let mut bytes = PNG.to_vec();
        bytes.extend((0..len).map(|at: usize| u8::try_from(at % 251).unwrap()));
        let standard = base64(&bytes);
        let mut with_one_blank = standard.clone();
        with_one_blank.insert(50, ' ');
        for data in [
            standard.clone(),
            standard.replace('=', ""),
            standard.replace('+', "-").replace('/', "_"),
            with_one_blank,
            lines(&standard),
        ] {
            assert!(spelled("image/png", &json!(data)).unwrap().bytes == bytes, "{len}");
        }
    }
}

/// Base64 as mails have it.
fn lines(text: &str) -> String {
    let lines = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap());
    lines.collect::<Vec<_>>().join("\r\n")
}

#[test]
fn the_reading_that_shows_a_type_of_the_kind_wins() {
    for (data, bytes) in [
        // Base64 of text, and text that happens to be base64 of nothing known.
        ("SGVsbG8sIHdvcmxk", &b"Hello, world"[..]),
        ("test", b"test"),
        ("hello world", b"hello world"),
        // Numbers that spell text, and numbers that spell control characters.
        ("72,101,108,108,111", b"Hello"),
        ("1,2,3,4", b"1,2,3,4"),
        ("12,13,14", b"12,13,14"),
        // Text beyond ASCII is UTF-8, not one byte for each character.
        ("grüße", "grüße".as_bytes()),
        ("日本語", "日本語".as_bytes()),
        ("b'Hello'", b"Hello"),
        ("b'not closed", b"b'not closed"),
        ("b'wrong \\q escape'", b"b'wrong \\q escape'"),
        ("data:text/plain;base64,SGk=", b"Hi"),
        ("data:text/plain,Hi", b"data:text/plain,Hi"),
    ] {
        let file = spelled("text/plain", &json!(data)).unwrap();
        assert_eq!(file.bytes, bytes, "{data}");
        assert_eq!(file.mime_type.as_str(), "text/plain");
    }
    // A document of another type than declared.
    let file = spelled("text/plain", &json!(base64(PDF))).unwrap();
    assert_eq!((file.bytes.as_slice(), file.mime_type.as_str()), (PDF, "application/pdf"));
}

#[test]
fn without_a_signature_the_first_reading_is_sent_as_declared() {
    for (data, bytes) in [
        (json!([1, 2, 3]), &[1, 2, 3][..]),
        (json!("1,2,3,255"), &[1, 2, 3, 255]),
        (json!("AQIDBP8="), &[1, 2, 3, 4, 255]),
        (json!("b'\\x01\\x02'"), &[1, 2]),
        (json!("\u{1}\u{2}ÿ!"), &[1, 2, 255, b'!']),
    ] {
        let file = spelled("image/png", &data).unwrap();
        assert_eq!(file.bytes, bytes, "{data}");
        assert_eq!(file.mime_type.as_str(), "image/png");
    }
}

/// Base64 letters are text as well; what was meant by a long string of them is the file.
#[test]
fn a_long_base64_string_is_never_sent_as_the_text_it_is() {
    let windows_1252: Vec<u8> = b"Gr\xFC\xDFe aus K\xF6ln, ".repeat(4);
    let file = spelled("text/plain", &json!(base64(&windows_1252))).unwrap();
    assert_eq!(file.bytes, windows_1252);
    // A short one may be a word.
    assert_eq!(spelled("text/plain", &json!("testdata")).unwrap().bytes, b"testdata");
}

#[test]
fn what_nobody_can_read_is_refused() {
    for data in [
        json!([1, -1]),
        json!([1, 1.5]),
        json!([1, "2"]),
        json!([[1]]),
        json!({"type": "Buffer"}),
        json!({"type": "Buffer", "data": "AQID"}),
        json!("data:image/png;base64,"),
        json!("b''"),
        json!("日本語"),
    ] {
        let result = spelled("image/png", &data);
        assert_refused(result, ErrorKind::InvalidValue, Some("message.image.file.data"));
    }
    let result = spelled("text/plain", &json!([]));
    assert_refused(result, ErrorKind::InvalidValue, Some("message.document.file.data"));
}

#[test]
fn broken_base64_is_not_read_as_base64() {
    // What is left is text, which is no picture.
    let whole = base64(PNG);
    let mut long = PNG.to_vec();
    long.resize(30_000, 0xA5);
    let mut ended_early = base64(&long);
    let mut ended_after_a_chunk = ended_early.clone();
    ended_early.replace_range(4_094..4_096, "==");
    ended_after_a_chunk.insert_str(4_096, &format!("=={}", " ".repeat(4_094)));
    for data in [
        ended_early,
        ended_after_a_chunk,
        whole.replace('=', "") + "==",
        whole.clone() + "AAAA====",
        format!("{}={}", &whole[..4], whole[4..].trim_end_matches('=')),
        whole.replacen('i', "*", 1),
        "iVBOR".to_owned(),
    ] {
        let result = spelled("image/png", &json!(data));
        let field = Some("message.image.file.data");
        assert_refused(result, ErrorKind::UnsupportedMediaType, field);
    }
}

#[test]
fn no_more_is_kept_than_the_kind_may_have() {
    use waypost_domain::media::{MEGABYTE, MimeType};
    let declared = MimeType::parse("image/png").unwrap();
    let mut bytes = PNG.to_vec();
    bytes.resize(7 * 1_048_576, 0xA5);
    for data in [json!(base64(&bytes)), json!(bytes)] {
        let body = data.to_string();
        let document = crate::json::parse(body.as_bytes()).unwrap();
        let read = crate::replyhero::file_data::read(document.root(), &declared).unwrap();
        assert_eq!(read.size, 7 * MEGABYTE);
        assert_eq!(read.bytes.len() as u64, 5 * MEGABYTE);
        assert!(!read.is_whole());
    }
}

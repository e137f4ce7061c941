//! `waypost admin media upload`: a file becomes a form of one part, sent whole. What files the gateway
//! takes is its own to say.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use waypost_domain::media::MimeType;

use super::Desk;

/// The largest file that is read: the largest document there is.
const MAX_FILE_BYTES: u64 = 100 * 1_024 * 1_024;
/// What stands between the parts; no file of the allowed types holds it by chance.
const BOUNDARY: &str = "waypost-7d1f0c52a94b4e6f8830c1b5e2d6479a";
const CONTENT_TYPE: &str = "multipart/form-data; boundary=waypost-7d1f0c52a94b4e6f8830c1b5e2d6479a";

/// Stores a file; the answer has its id and its public address.
///
/// # Errors
/// The file cannot be read or is too large, its type is not known, or the gateway refuses it.
pub(super) async fn run(
    desk: &Desk<'_>,
    file: &Path,
    mime_type: Option<String>,
) -> anyhow::Result<Value> {
    let size = std::fs::metadata(file).with_context(|| cannot_read(file))?.len();
    let mime_type = mime_type.map_or_else(|| type_of(file), Ok)?;
    let is_word = mime_type.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    ensure!(is_word, "`{mime_type}` is no type such as image/png");
    ensure!(size <= MAX_FILE_BYTES, "{} is larger than {MAX_FILE_BYTES} bytes", file.display());
    let bytes = tokio::fs::read(file).await.with_context(|| cannot_read(file))?;
    let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let form = form(&name, &mime_type, &bytes);
    desk.api.post_file(&desk.at(&["media"]), CONTENT_TYPE, form).await
}

fn cannot_read(file: &Path) -> String {
    format!("cannot read {}", file.display())
}

fn type_of(file: &Path) -> anyhow::Result<String> {
    let extension = file.extension().and_then(|extension| extension.to_str());
    let known = extension.and_then(MimeType::of_extension);
    let known = known.with_context(|| {
        format!("the ending of {} is not known: give --type, such as image/png", file.display())
    })?;
    Ok(known.as_str().to_owned())
}

fn form(name: &str, mime_type: &str, bytes: &[u8]) -> Vec<u8> {
    // As browsers write what would end the name or the line.
    let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: {mime_type}\r\n\r\n"
    );
    [head.as_bytes(), bytes, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_one_part_whose_name_cannot_break_out() {
        assert!(CONTENT_TYPE.ends_with(BOUNDARY));
        let form = String::from_utf8(form("a\"\r\nb.png", "image/png", b"bytes")).unwrap();
        let wanted = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"a%22%0D%0Ab.png\"\r\nContent-Type: image/png\r\n\r\nbytes\r\n--{BOUNDARY}--\r\n"
        );
        assert_eq!(form, wanted);
    }

    #[test]
    fn the_ending_says_the_type() {
        assert_eq!(type_of(Path::new("/x/A.PDF")).unwrap(), "application/pdf");
        for unknown in ["/x/a", "/x/a.exe"] {
            let refused = type_of(Path::new(unknown)).unwrap_err().to_string();
            assert!(refused.contains("--type"), "{refused}");
        }
    }
}

//! Multipart forms with one file: the file goes to the spool as it comes, text fields are kept,
//! everything is bounded. Dropping the upload leaves nothing behind.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use multer::Multipart;
use sha2::{Digest as _, Sha256};
use waypost_dialects::{Form, FormFile, FormParts};
use waypost_domain::media::SNIFF_BYTES;
use waypost_domain::{ErrorKind, Failure};
use waypost_engine::{Engine, Upload};

use crate::bodies::{BodyFault, BodyReader};

/// The most parts of a form.
const MAX_PARTS: usize = 64;
/// The largest text field, in bytes.
const MAX_FIELD_BYTES: usize = 16 * 1_024;
/// The most that is held of what has come and not been taken: a part's headers, the text before
/// the first part, one piece of a file. In bytes.
const MAX_HELD_BYTES: usize = 128 * 1_024;
/// The largest piece in which bytes are handed on.
const PIECE_BYTES: usize = 64 * 1_024;

/// A form that was read to its end.
pub(crate) struct ReceivedForm {
    /// What a dialect may see of it.
    pub(crate) form: Form,
    /// The file's bytes.
    pub(crate) upload: Option<Upload>,
    /// SHA-256 over all of it, part by part, for idempotency.
    pub(crate) fingerprint: [u8; 32],
}

/// Reads the parts of a form that are asked for.
///
/// # Errors
/// [`ErrorKind::InvalidMultipart`], [`ErrorKind::BodyTooLarge`], or what the spool says.
pub(crate) async fn receive(
    engine: &Engine,
    content_type: Option<&str>,
    body: BodyReader,
    wanted: FormParts,
) -> Result<ReceivedForm, Failure> {
    let boundary = content_type
        .and_then(|value| multer::parse_boundary(value).ok())
        .ok_or_else(|| invalid("The Content-Type names no boundary."))?;
    let held = Arc::new(AtomicUsize::new(0));
    let pieces = Pieces::new(body, Arc::clone(&held));
    let mut parts = Multipart::new(pieces, boundary);
    let mut received = ReceivedForm { form: Form::default(), upload: None, fingerprint: [0; 32] };
    let mut digest = Sha256::new();
    let mut count = 0;
    while let Some(part) = parts.next_field().await.map_err(refuse)? {
        held.store(0, Ordering::Relaxed);
        count += 1;
        if count > MAX_PARTS {
            return Err(invalid(format!("The form may have at most {MAX_PARTS} parts.")));
        }
        let part = Part { part, held: &held, digest: &mut digest };
        received.take(engine, part, wanted).await?;
    }
    received.fingerprint = digest.finalize().into();
    Ok(received)
}

impl ReceivedForm {
    async fn take(
        &mut self,
        engine: &Engine,
        mut part: Part<'_, '_>,
        wanted: FormParts,
    ) -> Result<(), Failure> {
        let Some(name) = part.part.name().map(str::to_owned) else {
            return Err(invalid("A part has no name."));
        };
        part.note(name.as_bytes());
        if wanted.texts.contains(&name.as_str()) {
            let text = part.text(&name).await?;
            self.form.fields.push((name, text));
            return Ok(());
        }
        if name != wanted.file || self.form.file.is_some() {
            return part.skip().await;
        }
        let mut file = FormFile {
            filename: part.part.file_name().map(str::to_owned),
            content_type: part.part.content_type().map(ToString::to_string),
            ..FormFile::default()
        };
        let mut upload = engine.begin_upload().await?;
        while let Some(piece) = part.next().await? {
            let wanted = SNIFF_BYTES.saturating_sub(file.head.len()).min(piece.len());
            file.head.extend_from_slice(&piece[..wanted]);
            file.size += piece.len() as u64;
            upload.write(piece).await?;
        }
        self.form.file = Some(file);
        self.upload = Some(upload);
        Ok(())
    }
}

struct Part<'a, 'r> {
    part: multer::Field<'r>,
    held: &'a AtomicUsize,
    digest: &'a mut Sha256,
}

impl Part<'_, '_> {
    /// Adds to the fingerprint, with its length, so that no two forms look alike.
    fn note(&mut self, bytes: &[u8]) {
        self.digest.update((bytes.len() as u64).to_be_bytes());
        self.digest.update(bytes);
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let piece = self.part.chunk().await.map_err(refuse)?;
        self.held.store(0, Ordering::Relaxed);
        match &piece {
            Some(piece) => self.digest.update(piece),
            None => self.note(b"end"),
        }
        Ok(piece)
    }

    async fn text(&mut self, name: &str) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > MAX_FIELD_BYTES {
                let message = format!("The part may have at most {MAX_FIELD_BYTES} bytes.");
                return Err(Failure::new(ErrorKind::ValueTooLong, message).at(name));
            }
        }
        String::from_utf8(bytes).map_err(|_| invalid("A text part is not UTF-8.").at(name))
    }

    async fn skip(&mut self) -> Result<(), Failure> {
        while self.next().await?.is_some() {}
        Ok(())
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::InvalidMultipart, message)
}

/// What a broken form is answered with; the body's own faults come back as they went in.
fn refuse(error: multer::Error) -> Failure {
    if let multer::Error::StreamReadFailed(source) = error {
        return match source.downcast::<PieceFault>() {
            Ok(fault) => match *fault {
                PieceFault::Body(fault) => fault.into_failure(),
                PieceFault::Unbounded => invalid("A part's headers are too long."),
            },
            Err(_) => invalid("The form cannot be read."),
        };
    }
    invalid(format!("The form cannot be read: {error}."))
}

/// Why no more pieces come.
#[derive(Debug, thiserror::Error)]
enum PieceFault {
    #[error("the body failed")]
    Body(BodyFault),
    #[error("too much is held without a part to show for it")]
    Unbounded,
}

type NextPiece = BoxFuture<'static, (BodyReader, Result<Option<Bytes>, BodyFault>)>;

/// A body in small pieces with a pause after each: the multipart reader takes all that is ready
/// at once and would otherwise hold as much as the client can send.
struct Pieces {
    reading: Option<NextPiece>,
    rest: Bytes,
    /// Pieces given since the reader last handed something on.
    held: Arc<AtomicUsize>,
    pause: bool,
}

impl Pieces {
    fn new(body: BodyReader, held: Arc<AtomicUsize>) -> Self {
        Self { reading: Some(read_next(body)), rest: Bytes::new(), held, pause: false }
    }
}

fn read_next(mut body: BodyReader) -> NextPiece {
    Box::pin(async move {
        let next = body.next().await;
        (body, next)
    })
}

impl Stream for Pieces {
    type Item = Result<Bytes, PieceFault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
            let Poll::Ready((body, next)) = reading.as_mut().poll(context) else {
                return Poll::Pending;
            };
            self.reading = None;
            match next {
                Ok(Some(data)) => {
                    self.rest = data;
                    self.reading = Some(read_next(body));
                }
                Ok(None) => return Poll::Ready(None),
                Err(fault) => return Poll::Ready(Some(Err(PieceFault::Body(fault)))),
            }
        }
        let size = self.rest.len().min(PIECE_BYTES);
        if self.held.fetch_add(size, Ordering::Relaxed) + size > MAX_HELD_BYTES {
            self.reading = None;
            return Poll::Ready(Some(Err(PieceFault::Unbounded)));
        }
        self.pause = true;
        Poll::Ready(Some(Ok(self.rest.split_to(size))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bodies::BodyPace;
    use axum::body::Body;
    use http::HeaderMap;

    async fn names(body: Vec<u8>) -> Result<Vec<String>, Failure> {
        let reader =
            BodyReader::new(&HeaderMap::new(), Body::from(body), 1 << 30, BodyPace::default());
        let held = Arc::new(AtomicUsize::new(0));
        let mut parts = Multipart::new(Pieces::new(reader.unwrap(), Arc::clone(&held)), "b");
        let mut names = Vec::new();
        let mut digest = Sha256::new();
        while let Some(part) = parts.next_field().await.map_err(refuse)? {
            held.store(0, Ordering::Relaxed);
            names.push(part.name().unwrap_or_default().to_owned());
            Part { part, held: &held, digest: &mut digest }.skip().await?;
        }
        Ok(names)
    }

    fn part(name: &str, content: &[u8]) -> Vec<u8> {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    }

    #[tokio::test]
    async fn reads_parts_of_any_size_in_any_order() {
        let large = vec![b'x'; 3_000_000];
        let body = [part("file", &large), part("orgId", b"org-1"), b"--b--\r\n".to_vec()].concat();
        assert_eq!(names(body).await.unwrap(), ["file", "orgId"]);
    }

    #[tokio::test]
    async fn refuses_what_would_have_to_be_held_without_end() {
        let endless_header = [&b"--b\r\nX-Long: "[..], &vec![b'x'; 1 << 20]].concat();
        let no_boundary = vec![b'x'; 1 << 20];
        for body in [endless_header, no_boundary] {
            let refused = names(body).await.unwrap_err();
            assert_eq!(refused.kind, ErrorKind::InvalidMultipart);
            assert_eq!(refused.message, "A part's headers are too long.");
        }
    }

    #[tokio::test]
    async fn refuses_forms_that_are_cut_or_malformed() {
        let cut = part("file", b"half");
        let bad_header = b"--b\r\nno colon here\r\n\r\nx\r\n--b--\r\n".to_vec();
        for body in [Vec::new(), cut, bad_header, b"--b\r\n\r\n".to_vec()] {
            assert_eq!(names(body).await.unwrap_err().kind, ErrorKind::InvalidMultipart);
        }
    }
}

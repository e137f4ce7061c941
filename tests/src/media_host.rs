//! A host of media files: some public, some behind a bearer token or a password, some that redirect
//! or never end. It remembers who asked for what, and with which credential.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::files::{MP4, PDF, PNG, padded};
use crate::wire::{Listening, Reader, Request, response};

/// The token that `/bearer/…` demands.
pub const TOKEN: &str = "media-host-token-7f3a";
/// What `/basic/…` demands, as `user:password`.
pub const PASSWORD: &str = "reader:media-host-password-91c2";
/// The length of `/…/huge.pdf`: one byte more than a document may have.
const HUGE_BYTES: usize = 100 * 1_048_576 + 1;
/// The length of `/…/large.png`: one byte more than a picture may have.
const LARGE_BYTES: usize = 5 * 1_048_576 + 1;
/// The length of `/…/large.mp4`: one byte more than a film may have.
const LONG_BYTES: usize = 16 * 1_048_576 + 1;
const CHUNK_BYTES: usize = 1_048_576;

/// The host; it stops when dropped.
pub struct MediaHost {
    listening: Listening,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl MediaHost {
    /// Starts it.
    pub async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noting = Arc::clone(&seen);
        let listening = Listening::start(move |stream| serve(stream, Arc::clone(&noting))).await;
        Self { listening, seen }
    }

    /// The address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.listening.url(path)
    }

    /// Every request.
    #[must_use]
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests carried a credential.
    #[must_use]
    pub fn credentials_seen(&self) -> usize {
        self.seen().iter().filter(|request| request.header("authorization").is_some()).count()
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<Request>>>) {
    let mut reader = Reader::default();
    while let Ok(Some(request)) = reader.next(&mut stream).await {
        seen.lock().unwrap().push(request.clone());
        let told = match request.path.as_str() {
            path if path.ends_with("/huge.pdf") => huge(&mut stream).await,
            path if path.starts_with("/bearer/") || path.starts_with("/basic/") => {
                let bytes = protected(&request);
                stream.write_all(&bytes).await
            }
            path => {
                let bytes = public(path, &request.query);
                stream.write_all(&bytes).await
            }
        };
        if told.is_err() {
            return;
        }
    }
}

fn protected(request: &Request) -> Vec<u8> {
    let given = request.header("authorization").unwrap_or_default();
    let wanted = if request.path.starts_with("/bearer/") {
        format!("Bearer {TOKEN}")
    } else {
        format!("Basic {}", crate::files::base64(PASSWORD.as_bytes()))
    };
    if given == wanted {
        public(&request.path, &request.query)
    } else {
        response(401, &[("www-authenticate", "Bearer")], b"who are you?")
    }
}

fn public(path: &str, query: &str) -> Vec<u8> {
    match path.rsplit('/').next().unwrap_or_default() {
        "offer.pdf" => response(200, &[("content-type", "application/pdf")], PDF),
        "teal.png" => response(200, &[("content-type", "image/png")], PNG),
        "large.png" => response(200, &[("content-type", "image/png")], &padded(PNG, LARGE_BYTES)),
        "note.wav" => response(200, &[("content-type", "audio/wav")], b"RIFF\0\0\0\0WAVEfmt "),
        "clip.mp4" => response(200, &[("content-type", "video/mp4")], MP4),
        "large.mp4" => response(200, &[("content-type", "video/mp4")], &padded(MP4, LONG_BYTES)),
        "note.aac" => {
            response(200, &[("content-type", "audio/aac")], b"\xFF\xF1\x50\x80\x00\x1F\xFC")
        }
        "wave.webp" => {
            response(200, &[("content-type", "image/webp")], b"RIFF\x0E\0\0\0WEBPVP8 \0\0")
        }
        "page.html" => response(200, &[("content-type", "text/html")], b"<html>no document</html>"),
        "empty.pdf" => response(200, &[("content-type", "application/pdf")], b""),
        "elsewhere.pdf" => {
            let to = query.strip_prefix("to=").unwrap_or_default();
            response(302, &[("location", to)], b"")
        }
        _ => response(404, &[], b"no such file"),
    }
}

async fn huge(stream: &mut TcpStream) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/pdf\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(PDF).await?;
    let chunk = vec![0_u8; CHUNK_BYTES];
    let mut left = HUGE_BYTES - PDF.len();
    while left > 0 {
        let size = left.min(chunk.len());
        stream.write_all(&chunk[..size]).await?;
        left -= size;
    }
    Err(std::io::ErrorKind::ConnectionAborted.into())
}

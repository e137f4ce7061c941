//! The body of a request, which knows whether its first byte was handed out: the evidence for
//! what was certainly not sent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use waypost_engine::ports::BlobStream;

const WHOLE: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Whether any byte of a body may have left. Clones speak of the same body.
///
/// The HTTP library runs a connection on a task of its own, so a caller that gives up cannot merely
/// look whether the body was begun: it may be begun a moment later. [`Evidence::withdraw`] settles
/// it for good: either the body was begun before, or it never will be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence(Arc<AtomicU8>);

impl Evidence {
    fn begin(&self) -> bool {
        let before = self.0.compare_exchange(WHOLE, BEGUN, Ordering::AcqRel, Ordering::Acquire);
        matches!(before, Ok(_) | Err(BEGUN))
    }

    /// Makes sure that no byte leaves any more, unless the first one has: then `false`.
    pub(crate) fn withdraw(&self) -> bool {
        let before = self.0.compare_exchange(WHOLE, WITHDRAWN, Ordering::AcqRel, Ordering::Acquire);
        matches!(before, Ok(_) | Err(WITHDRAWN))
    }
}

/// A body of known length: bytes, or a stream between bytes.
pub(crate) struct OutgoingBody {
    head: Bytes,
    file: Option<BlobStream>,
    file_left: u64,
    tail: Bytes,
    evidence: Evidence,
}

impl OutgoingBody {
    pub(crate) fn bytes(bytes: Bytes) -> Self {
        let (tail, evidence) = (Bytes::new(), Evidence::default());
        Self { head: bytes, file: None, file_left: 0, tail, evidence }
    }

    /// A stream of exactly `size` bytes with bytes before and after it.
    pub(crate) fn around(head: Bytes, file: BlobStream, size: u64, tail: Bytes) -> Self {
        Self { head, file: Some(file), file_left: size, tail, evidence: Evidence::default() }
    }

    /// A stream of exactly `size` bytes.
    pub(crate) fn streamed(file: BlobStream, size: u64) -> Self {
        Self::around(Bytes::new(), file, size, Bytes::new())
    }

    pub(crate) fn evidence(&self) -> Evidence {
        self.evidence.clone()
    }

    fn left(&self) -> u64 {
        self.head.len() as u64 + self.file_left + self.tail.len() as u64
    }

    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if !self.head.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.head))));
        }
        if let Some(file) = &mut self.file {
            if let Some(chunk) = ready!(file.as_mut().poll_next(context)) {
                return Poll::Ready(Some(chunk.and_then(|chunk| self.count(chunk))));
            }
            self.file = None;
            if self.file_left > 0 {
                return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
            }
        }
        let tail = std::mem::take(&mut self.tail);
        Poll::Ready((!tail.is_empty()).then_some(Ok(tail)))
    }

    /// A longer stream than announced would become part of the next request.
    fn count(&mut self, chunk: Bytes) -> io::Result<Bytes> {
        match self.file_left.checked_sub(chunk.len() as u64) {
            Some(left) => {
                self.file_left = left;
                Ok(chunk)
            }
            None => Err(io::Error::other("the file is longer than announced")),
        }
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let body = self.get_mut();
        let part = ready!(body.poll_part(context));
        if matches!(part, Some(Ok(_))) && !body.evidence.begin() {
            return Poll::Ready(Some(Err(io::Error::other("the call was given up"))));
        }
        Poll::Ready(part.map(|part| part.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;

    fn streamed(chunks: &[&'static [u8]], size: u64) -> OutgoingBody {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        let file = Box::pin(stream::iter(chunks));
        OutgoingBody::around(Bytes::from_static(b"<"), file, size, Bytes::from_static(b">"))
    }

    #[tokio::test]
    async fn a_withdrawn_body_gives_no_byte() {
        let body = OutgoingBody::bytes(Bytes::from_static(b"{}"));
        let evidence = body.evidence();
        assert!(evidence.withdraw());
        assert!(body.collect().await.is_err());
        assert!(evidence.withdraw(), "still certain");
    }

    #[tokio::test]
    async fn a_body_that_was_begun_cannot_be_withdrawn() {
        let mut body = OutgoingBody::bytes(Bytes::from_static(b"{}"));
        let evidence = body.evidence();
        body.frame().await.unwrap().unwrap();
        assert!(!evidence.withdraw());
        assert!(body.is_end_stream());
    }

    #[tokio::test]
    async fn a_stream_has_exactly_its_announced_length() {
        let body = streamed(&[b"ab", b"", b"c"], 3);
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "<abc>");
        assert!(streamed(&[b"ab"], 3).collect().await.is_err(), "shorter");
        assert!(streamed(&[b"ab", b"cd"], 3).collect().await.is_err(), "longer");
    }
}

//! Whether a request was read to its end. Knows no route and no reply.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Remembers whether a body has come to its end.
#[derive(Clone, Default)]
pub(crate) struct Unread(Arc<AtomicBool>);

impl Unread {
    /// A body whose end is noticed. One without content is over from the start.
    pub(crate) fn watch<B: Body>(&self, body: B) -> Watched<B> {
        if body.is_end_stream() {
            self.0.store(true, Ordering::Release);
        }
        Watched { body, unread: self.clone() }
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A body that tells of its end.
pub(crate) struct Watched<B> {
    body: B,
    unread: Unread,
}

impl<B> Body for Watched<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let is_end = matches!(polled, Poll::Ready(None)) || self.body.is_end_stream();
        if is_end {
            self.unread.0.store(true, Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt as _, Empty, Full};

    #[tokio::test]
    async fn a_body_is_over_once_it_was_read_to_its_end() {
        let unread = Unread::default();
        drop(unread.watch(Full::new(Bytes::from_static(b"hello"))));
        assert!(!unread.is_over(), "nobody read it");
        let read = unread.watch(Full::new(Bytes::from_static(b"hello"))).collect().await.unwrap();
        assert_eq!(read.to_bytes(), "hello");
        assert!(unread.is_over());
    }

    #[test]
    fn what_has_no_body_is_over_from_the_start() {
        let unread = Unread::default();
        drop(unread.watch(Empty::<Bytes>::new()));
        assert!(unread.is_over());
    }
}

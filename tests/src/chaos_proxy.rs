//! A TCP proxy that misbehaves as told: between a gateway and its upstream it delays, cuts, resets and
//! stalls at a given byte. It understands no protocol.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Bytes that are passed on at once.
const CHUNK_BYTES: usize = 16 * 1_024;

/// What befalls a connection. Bytes are counted from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// Nothing.
    None,
    /// It is accepted and reset before a byte is read.
    ResetAtOnce,
    /// So many bytes of what is asked reach the upstream, then it is reset.
    ResetAfterRequest(usize),
    /// So many bytes of what is answered come back, then it is reset.
    ResetAfterReply(usize),
    /// So many bytes of what is answered come back, then it is closed in order.
    CutReply(usize),
    /// So many bytes of what is answered come back, then nothing more, and it stays open.
    StallReply(usize),
    /// Everything comes later.
    Delay(Duration),
}

type Chooser = Box<dyn FnMut() -> Mischief + Send>;

/// The proxy; it stops when dropped.
pub struct ChaosProxy {
    address: SocketAddr,
    chooser: Arc<Mutex<Chooser>>,
    /// Connections of an older generation are broken off.
    generation: watch::Sender<u64>,
    accepting: Mutex<Option<AbortHandle>>,
    upstream: SocketAddr,
}

impl ChaosProxy {
    /// Starts one before `upstream`; `choose` says what befalls each connection.
    pub async fn start(
        upstream: SocketAddr,
        choose: impl FnMut() -> Mischief + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let proxy = Self {
            address,
            chooser: Arc::new(Mutex::new(Box::new(choose))),
            generation: watch::Sender::new(0),
            accepting: Mutex::default(),
            upstream,
        };
        proxy.accept_from(listener);
        proxy
    }

    fn accept_from(&self, listener: TcpListener) {
        let (chooser, upstream) = (Arc::clone(&self.chooser), self.upstream);
        let generation = self.generation.subscribe();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mischief = (chooser.lock().unwrap())();
                let broken_off = broken_off(generation.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = pass_on(client, upstream, mischief) => {}
                        () = broken_off => {}
                    }
                });
            }
        });
        *self.accepting.lock().unwrap() = Some(accepting.abort_handle());
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this befalls every connection; those that are open end.
    pub fn set(&self, mischief: Mischief) {
        *self.chooser.lock().unwrap() = Box::new(move || mischief);
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Listens no more: who connects is refused. Connections that are open end.
    pub async fn close(&self) {
        let accepting = self.accepting.lock().unwrap().take();
        if let Some(accepting) = accepting {
            accepting.abort();
            while !accepting.is_finished() {
                tokio::task::yield_now().await;
            }
        }
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Listens again at the same address.
    pub async fn open(&self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is still free");
        self.accept_from(listener);
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.lock().unwrap().take() {
            accepting.abort();
        }
    }
}

/// Ends when connections of this time are to be broken off.
async fn broken_off(mut generation: watch::Receiver<u64>) {
    generation.mark_unchanged();
    if generation.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn pass_on(mut client: TcpStream, upstream: SocketAddr, mischief: Mischief) {
    if mischief == Mischief::ResetAtOnce {
        drop(client.set_zero_linger());
        return;
    }
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    for stream in [&client, &server] {
        drop(stream.set_nodelay(true));
    }
    let (asked, answered) = limits(mischief);
    let delay = if let Mischief::Delay(span) = mischief { span } else { Duration::ZERO };
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            end = copy(from_client, to_server, asked, delay) => end,
            end = copy(from_server, to_client, answered, delay) => end,
        }
    };
    if end == End::Closed {
        return;
    }
    match mischief {
        Mischief::StallReply(_) => std::future::pending().await,
        // Dropped, both are closed in order.
        Mischief::CutReply(_) => {}
        _ => {
            for stream in [&client, &server] {
                drop(stream.set_zero_linger());
            }
        }
    }
}

/// How many bytes may pass each way.
fn limits(mischief: Mischief) -> (usize, usize) {
    match mischief {
        Mischief::ResetAfterRequest(bytes) => (bytes, usize::MAX),
        Mischief::ResetAfterReply(bytes)
        | Mischief::CutReply(bytes)
        | Mischief::StallReply(bytes) => (usize::MAX, bytes),
        _ => (usize::MAX, usize::MAX),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// One side is done.
    Closed,
    /// As much has passed as may.
    Limit,
}

async fn copy(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, limit: usize, delay: Duration) -> End {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = limit;
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let passed = read.min(left);
        if to.write_all(&chunk[..passed]).await.is_err() {
            return End::Closed;
        }
        left -= passed;
        if left == 0 {
            return End::Limit;
        }
    }
    End::Closed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An upstream that says this to whoever connects, and then listens.
    async fn talker(words: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    drop(stream.write_all(words).await);
                    drop(stream.read_to_end(&mut Vec::new()).await);
                });
            }
        });
        address
    }

    async fn heard(proxy: &ChaosProxy) -> (Vec<u8>, Option<std::io::ErrorKind>) {
        let stream = TcpStream::connect(proxy.address).await;
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(error) => return (Vec::new(), Some(error.kind())),
        };
        drop(stream.write_all(b"a question").await);
        let mut heard = Vec::new();
        let end = stream.read_to_end(&mut heard).await;
        (heard, end.err().map(|error| error.kind()))
    }

    #[tokio::test]
    async fn cuts_and_resets_where_it_is_told() {
        use std::io::ErrorKind::{ConnectionRefused, ConnectionReset};
        let proxy = ChaosProxy::start(talker(b"an answer").await, || Mischief::None).await;
        proxy.set(Mischief::CutReply(3));
        assert_eq!(heard(&proxy).await, (b"an ".to_vec(), None));
        for mischief in [Mischief::ResetAfterReply(9), Mischief::ResetAtOnce] {
            proxy.set(mischief);
            assert_eq!(heard(&proxy).await.1, Some(ConnectionReset), "{mischief:?}");
        }
        proxy.close().await;
        assert_eq!(heard(&proxy).await.1, Some(ConnectionRefused));
        proxy.open().await;
        proxy.set(Mischief::CutReply(9));
        assert_eq!(heard(&proxy).await, (b"an answer".to_vec(), None));
    }
}

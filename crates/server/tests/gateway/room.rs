//! A disk of files without room, while that of the database has some: told by readiness, to callers in
//! their dialects' words, and over as soon as there is room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use waypost_engine::ports::{
    BlobInfo, BlobStore, BlobStream, BlobWriter, Sha256Hex, StoreError, StoreResult,
};
use waypost_server::Limits;
use waypost_store_files::FileBlobs;

use crate::rig::{ADMIN, Answer, Rig};
use crate::surface::upload;

const PDF: &[u8] = b"%PDF-1.4\n%%EOF";

/// Files on a disk that is full while it is said to be.
struct SmallDisk {
    files: FileBlobs,
    has_room: Arc<AtomicBool>,
    full: watch::Sender<bool>,
}

/// A file that is written when it ends.
struct SmallFile {
    file: Box<dyn BlobWriter>,
    has_room: bool,
    full: watch::Sender<bool>,
}

fn no_room() -> StoreError {
    StoreError::Unavailable("no space left on device".to_owned())
}

#[async_trait]
impl BlobStore for SmallDisk {
    async fn create(&self) -> StoreResult<Box<dyn BlobWriter>> {
        if *self.full.borrow() {
            return Err(no_room());
        }
        let has_room = self.has_room.load(Ordering::SeqCst);
        let file = self.files.create().await?;
        Ok(Box::new(SmallFile { file, has_room, full: self.full.clone() }))
    }

    async fn open(&self, sha256: &Sha256Hex) -> StoreResult<Option<(u64, BlobStream)>> {
        self.files.open(sha256).await
    }

    async fn list(&self, first_byte: u8) -> StoreResult<Vec<Sha256Hex>> {
        self.files.list(first_byte).await
    }

    async fn remove(&self, sha256: &Sha256Hex) -> StoreResult<()> {
        self.files.remove(sha256).await
    }

    fn full(&self) -> watch::Receiver<bool> {
        self.full.subscribe()
    }

    async fn try_room(&self) -> StoreResult<()> {
        if !self.has_room.load(Ordering::SeqCst) {
            return Err(no_room());
        }
        self.full.send_replace(false);
        Ok(())
    }
}

#[async_trait]
impl BlobWriter for SmallFile {
    async fn write(&mut self, chunk: Bytes) -> StoreResult<()> {
        self.file.write(chunk).await
    }

    async fn finish(self: Box<Self>) -> StoreResult<BlobInfo> {
        if !self.has_room {
            self.full.send_replace(true);
            return Err(no_room());
        }
        self.file.finish().await
    }
}

/// Sends a file by each dialect that takes some, and by the management API: what its answer was.
async fn offered(rig: &Rig, key: &str) -> Vec<(&'static str, Answer)> {
    let form = [
        &b"--b\r\nContent-Disposition: form-data; name=\"orgId\"\r\n\r\norg-1\r\n--b\r\n\
        Content-Disposition: form-data; name=\"type\"\r\n\r\napplication/pdf\r\n--b\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\
        Content-Type: application/pdf\r\n\r\n"[..],
        PDF,
        b"\r\n--b--\r\n",
    ]
    .concat();
    let form_at = async |path: &str, header: &str, value: &str| {
        let request = Request::builder().method(Method::POST).uri(path).header(header, value);
        let request = request.header("content-type", "multipart/form-data; boundary=b");
        rig.call(request.body(Body::from(form.clone())).unwrap()).await
    };
    vec![
        ("management", upload(rig, "org-1", key, PDF).await),
        ("replyhero", form_at("/whatsapp/uploads/media_upload", "x-api-key", key).await),
        ("pepipost", form_at("/api/v2/media/upload", "authorization", key).await),
    ]
}

#[tokio::test]
async fn files_are_refused_while_their_disk_is_full_and_taken_again_by_itself() {
    let has_room = Arc::new(AtomicBool::new(false));
    let full = watch::Sender::new(false);
    let rig = Rig::with(Limits::default(), |files| {
        Arc::new(SmallDisk { files, has_room: Arc::clone(&has_room), full: full.clone() })
    })
    .await;
    rig.furnish("org-1", "n-1").await;
    let key = rig.key("org-1", &["messages:send", "media"]).await;
    let cancel = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, cancel) = (rig.engine.clone(), cancel.clone());
        async move { engine.run(cancel).await }
    });
    rig.get("/readyz").await.expect(200);
    for (by, answer) in offered(&rig, &key).await {
        let retry = answer.header("retry-after").map(str::to_owned);
        let answer = answer.expect(503);
        assert!(retry.is_some(), "{by}: {}", answer.text());
    }
    let ready = rig.get("/readyz").await.expect(503).json();
    assert_eq!(ready["store"], "the disk of the media folder is full; make room");
    assert!(rig.get("/metrics").await.text().contains("waypost_ready 0"));
    let text = json!({"to": "15550001111", "type": "text", "text": {"body": "hi"}});
    let path = "/waypost/v1/orgs/org-1/messages";
    rig.ask(Method::POST, path, Some(ADMIN), Some(text)).await.expect(202);
    has_room.store(true, Ordering::SeqCst);
    full.subscribe().wait_for(|is_full| !is_full).await.unwrap();
    rig.get("/readyz").await.expect(200);
    for (by, answer) in offered(&rig, &key).await {
        assert!(answer.status.is_success(), "{by}: {}", answer.text());
    }
    cancel.cancel();
    running.await.unwrap();
}

//! The store against a real folder: what is finished is there and whole, what is not leaves
//! nothing behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use waypost_engine::ports::{BlobInfo, BlobStore, Sha256Hex, StoreError};
use waypost_store_files::{CHUNK_BYTES, FileBlobs};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

async fn write(blobs: &FileBlobs, parts: &[&[u8]]) -> BlobInfo {
    let mut writer = blobs.create().await.unwrap();
    for part in parts {
        writer.write(Bytes::copy_from_slice(part)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn read(blobs: &FileBlobs, sha256: &Sha256Hex) -> Option<(u64, Vec<Bytes>)> {
    let (size, stream) = blobs.open(sha256).await.unwrap()?;
    Some((size, stream.try_collect().await.unwrap()))
}

fn pattern(len: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(len).collect()
}

#[tokio::test]
async fn names_a_file_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let info = write(&blobs, &[b"a", b"", b"bc"]).await;
    assert_eq!((info.sha256.as_str(), info.size), (ABC, 3));
    assert_eq!(files(folder.path()), [folder.path().join("ba").join(ABC)]);
    assert_eq!(fs::read(folder.path().join("ba").join(ABC)).unwrap(), b"abc");
    let empty = write(&blobs, &[]).await;
    assert_eq!((empty.sha256.as_str(), empty.size), (EMPTY, 0));
    assert_eq!(read(&blobs, &empty.sha256).await, Some((0, vec![])));
}

#[tokio::test]
async fn gives_back_what_was_written_in_bounded_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    for len in [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7] {
        let content = pattern(len);
        for step in [1_000, CHUNK_BYTES, 2 * CHUNK_BYTES + 1] {
            let parts: Vec<&[u8]> = content.chunks(step).collect();
            let info = write(&blobs, &parts).await;
            let (size, chunks) = read(&blobs, &info.sha256).await.unwrap();
            assert_eq!((info.size, size), (len as u64, len as u64));
            assert!(chunks.iter().all(|chunk| chunk.len() <= CHUNK_BYTES));
            assert_eq!(chunks.concat(), content, "{len} bytes in steps of {step}");
        }
    }
}

#[tokio::test]
async fn an_abort_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    for len in [10, 3 * CHUNK_BYTES] {
        let mut writer = blobs.create().await.unwrap();
        writer.write(Bytes::from(pattern(len))).await.unwrap();
        let on_disk = usize::from(len > CHUNK_BYTES);
        assert_eq!(files(folder.path()).len(), on_disk, "the test looks where files are made");
        drop(writer);
        assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn opening_again_removes_what_a_crash_left_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let kept = write(&blobs, &[b"abc"]).await;
    let mut writer = blobs.create().await.unwrap();
    writer.write(Bytes::from(pattern(2 * CHUNK_BYTES))).await.unwrap();
    // As after a kill: the destructor never runs.
    std::mem::forget(writer);
    assert_eq!(files(folder.path()).len(), 2);
    let blobs = FileBlobs::open(folder.path()).unwrap();
    assert_eq!(files(folder.path()), [folder.path().join("ba").join(ABC)]);
    assert!(read(&blobs, &kept.sha256).await.is_some());
    let large = write(&blobs, &[&pattern(2 * CHUNK_BYTES)]).await;
    assert!(read(&blobs, &large.sha256).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_content_at_the_same_time_is_one_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let content = pattern(CHUNK_BYTES + 11);
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (blobs, content) = (blobs.clone(), content.clone());
            tokio::spawn(async move {
                let info = write(&blobs, &[&content]).await;
                let (_, chunks) = read(&blobs, &info.sha256).await.unwrap();
                assert_eq!(chunks.concat(), content);
                info
            })
        })
        .collect();
    let mut infos = Vec::new();
    for task in tasks {
        infos.push(task.await.unwrap());
    }
    assert!(infos.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(files(folder.path()).len(), 1);
}

#[tokio::test]
async fn removes_a_file_once_and_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let info = write(&blobs, &[b"abc"]).await;
    let (_, reading) = blobs.open(&info.sha256).await.unwrap().unwrap();
    for _ in 0..2 {
        blobs.remove(&info.sha256).await.unwrap();
        assert!(blobs.open(&info.sha256).await.unwrap().is_none());
    }
    let chunks: Vec<Bytes> = reading.try_collect().await.unwrap();
    assert_eq!(chunks.concat(), b"abc", "who reads already reads on");
}

#[tokio::test]
async fn a_name_that_is_no_digest_never_becomes_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("secret");
    fs::write(&outside, "secret").unwrap();
    let blobs = FileBlobs::open(folder.path().join("media")).unwrap();
    let absolute = outside.to_str().unwrap();
    for name in ["", "..", "../../secret", absolute, &ABC.to_uppercase(), "é", &"é".repeat(32)] {
        let sha256 = Sha256Hex::from_stored(name.to_owned());
        assert!(blobs.open(&sha256).await.unwrap().is_none(), "{name}");
        blobs.remove(&sha256).await.unwrap();
    }
    assert!(outside.exists());
}

#[tokio::test]
async fn a_file_that_was_cut_is_an_error_and_no_short_success() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    let info = write(&blobs, &[&pattern(2 * CHUNK_BYTES)]).await;
    let (_, reading) = blobs.open(&info.sha256).await.unwrap().unwrap();
    let path = &files(folder.path())[0];
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(10).unwrap();
    let error = reading.try_collect::<Vec<Bytes>>().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("occupied");
    fs::write(&file, "").unwrap();
    let error = FileBlobs::open(file.join("media")).unwrap_err();
    assert!(
        matches!(&error, StoreError::Unavailable(text) if text.contains("occupied")),
        "{error}"
    );
}

#[tokio::test]
async fn a_folder_that_vanished_makes_the_write_fail_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path().join("media")).unwrap();
    fs::remove_dir_all(folder.path().join("media")).unwrap();
    let mut writer = blobs.create().await.unwrap();
    let error = writer.write(Bytes::from(pattern(2 * CHUNK_BYTES))).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(writer.write(Bytes::from_static(b"more")).await.is_err());
    assert!(writer.finish().await.is_err(), "a file with a hole is never finished");
}

#[tokio::test]
async fn a_damaged_file_never_ends_as_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = FileBlobs::open(folder.path()).unwrap();
    for size in [5, 700_000] {
        let content = vec![7_u8; size];
        let mut writer = blobs.create().await.unwrap();
        writer.write(Bytes::from(content.clone())).await.unwrap();
        let info = writer.finish().await.unwrap();
        let name = info.sha256.as_str();
        let path = folder.path().join(&name[..2]).join(name);
        let mut flipped = content.clone();
        flipped[size / 2] ^= 1;
        for damaged in [flipped, content[..size / 2].to_vec(), Vec::new()] {
            fs::write(&path, &damaged).unwrap();
            let (length, stream) = blobs.open(&info.sha256).await.unwrap().unwrap();
            let read: Vec<_> = stream.into_stream().collect().await;
            assert_eq!(length, damaged.len() as u64);
            assert!(read.last().unwrap().is_err(), "{size} {}", damaged.len());
            let (_, stream) = blobs.open_as_it_is(&info.sha256).await.unwrap().unwrap();
            let bytes: Vec<_> = stream.map(|chunk| chunk.unwrap().to_vec()).concat().await;
            assert_eq!(bytes, damaged, "as it is");
        }
        assert!(blobs.list(0x00).await.unwrap().len() <= 1);
    }
}

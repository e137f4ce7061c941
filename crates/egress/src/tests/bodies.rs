//! Sizes, lengths and encodings of downloads, and servers that answer nonsense.

use futures_util::StreamExt;

use super::rig::{Site, client, download, fetch_of, ok};
use crate::{EgressError, FetchRequest};

async fn answered_with(answer: impl Into<Vec<u8>>) -> Result<Vec<u8>, EgressError> {
    let answer = answer.into();
    let site = Site::start("127.0.0.3", move |_| answer.clone()).await;
    download(&client(&[]), fetch_of(&format!("http://{}/", site.address))).await
}

#[tokio::test]
async fn hands_out_type_length_and_bytes() {
    let site = Site::start("127.0.0.3", |_| {
        b"HTTP/1.1 200 OK\r\ncontent-type: image/png; x=y\r\ncontent-length: 3\r\n\r\nabc".to_vec()
    })
    .await;
    let url = format!("http://{}/", site.address);
    let response = client(&[]).get(fetch_of(&url)).await.unwrap();
    assert_eq!(response.content_type.as_deref(), Some("image/png; x=y"));
    assert_eq!(response.content_length, Some(3));
    let pieces = response.body.map(Result::unwrap).collect::<Vec<_>>().await;
    assert_eq!(pieces.concat(), b"abc");
}

#[tokio::test]
async fn accepts_a_file_of_exactly_the_limit_in_every_framing() {
    let file = vec![b'a'; 1024];
    assert_eq!(answered_with(ok(&file)).await.unwrap(), file);
    let chunked = [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n400\r\n",
        &file[..],
        b"\r\n0\r\nx: trailer\r\n\r\n",
    ]
    .concat();
    assert_eq!(answered_with(chunked).await.unwrap(), file);
    let until_close = [b"HTTP/1.1 200 OK\r\n\r\n", &file[..]].concat();
    assert_eq!(answered_with(until_close).await.unwrap(), file);
}

#[tokio::test]
async fn refuses_an_announced_length_over_the_limit_before_the_body() {
    let site =
        Site::start("127.0.0.3", |_| b"HTTP/1.1 200 OK\r\ncontent-length: 1025\r\n\r\n".to_vec())
            .await;
    let refused = client(&[]).get(fetch_of(&format!("http://{}/", site.address))).await;
    assert!(matches!(refused, Err(EgressError::TooLarge { limit_bytes: 1024 })), "{refused:?}");
}

#[tokio::test]
async fn stops_an_unannounced_body_at_the_limit() {
    let chunk = [b"401\r\n", &[b'a'; 1025][..], b"\r\n"].concat();
    let chunked =
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &chunk[..], b"0\r\n\r\n"]
            .concat();
    let until_close = [b"HTTP/1.1 200 OK\r\n\r\n", &[b'a'; 1025][..]].concat();
    for answer in [chunked, until_close] {
        let refused = answered_with(answer).await;
        assert!(matches!(refused, Err(EgressError::TooLarge { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn an_endless_body_ends_with_one_error_in_pieces_of_bounded_size() {
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n", &vec![b'a'; 4 << 20][..]].concat();
    let site = Site::start("127.0.0.3", move |_| endless.clone()).await;
    let request =
        FetchRequest { limit_bytes: 1 << 20, ..fetch_of(&format!("http://{}/", site.address)) };
    let response = client(&[]).get(request).await.unwrap();
    let pieces = response.body.collect::<Vec<_>>().await;
    let (last, before) = pieces.split_last().unwrap();
    assert!(matches!(last, Err(EgressError::TooLarge { .. })), "{last:?}");
    let sizes = before.iter().map(|piece| piece.as_ref().unwrap().len()).collect::<Vec<_>>();
    assert!(sizes.iter().sum::<usize>() <= 1 << 20);
    assert!(sizes.iter().all(|size| *size <= 64 * 1024), "{sizes:?}");
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_an_error() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
    let cut_chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc";
    let bad_chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n";
    for answer in [cut, cut_chunk, bad_chunk] {
        let refused = answered_with(answer).await;
        assert!(matches!(refused, Err(EgressError::Body(_))), "{answer} {refused:?}");
    }
}

#[tokio::test]
async fn a_body_longer_than_announced_is_cut_at_its_length() {
    let longer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdefgh";
    assert_eq!(answered_with(longer).await.unwrap(), b"abc");
}

#[tokio::test]
async fn refuses_a_compressed_file() {
    let packed = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx";
    let refused = answered_with(packed).await;
    assert!(matches!(refused, Err(EgressError::ContentEncoded)), "{refused:?}");
    let plain = "HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-length: 1\r\n\r\nx";
    assert_eq!(answered_with(plain).await.unwrap(), b"x");
}

#[tokio::test]
async fn an_empty_or_partial_success_is_no_file() {
    for status in [201_u16, 204, 206] {
        let refused =
            answered_with(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")).await;
        assert!(matches!(refused, Err(EgressError::Status(seen)) if seen == status), "{refused:?}");
    }
}

#[tokio::test]
async fn nonsense_and_oversize_heads_are_protocol_errors() {
    let long_line = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(17 * 1024));
    let many_lines = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    let two_lengths = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
    let nonsense =
        ["SSH-2.0-server\r\n", "HTTP/0.9 200\r\n\r\n", two_lengths, &long_line, &many_lines];
    for answer in nonsense {
        let refused = answered_with(answer).await;
        assert!(matches!(refused, Err(EgressError::Protocol(_))), "{answer:.40} {refused:?}");
    }
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_reported() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let refused = answered_with(answer).await;
        assert!(matches!(refused, Err(EgressError::ConnectionLost(_))), "{refused:?}");
    }
}

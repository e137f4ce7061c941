//! Multipart forms with one file, streamed: the file is their last part.

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use waypost_domain::media::clean_filename;
use waypost_engine::ports::{Account, BlobStream, CallError};

use crate::body::OutgoingBody;
use crate::client::{CloudApi, MAX_REPLY_BYTES, finish};
use crate::transport::Broken;

/// A form as far as it is written: everything before the file's bytes.
pub(crate) struct Form {
    boundary: String,
    head: String,
}

impl Form {
    pub(crate) fn new() -> Self {
        Self { boundary: boundary(), head: String::new() }
    }

    /// A field. Neither name nor value may hold a line end.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        let boundary = &self.boundary;
        self.head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
        self
    }

    /// The file's part, whose bytes follow.
    pub(crate) fn file(mut self, mime_type: &str, filename: &str) -> Self {
        // As browsers write it; clean names hold no line ends.
        let name = clean_filename(filename).unwrap_or_else(|| "file".to_owned());
        let (name, boundary) = (name.replace('"', "%22"), &self.boundary);
        self.head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"{name}\"\r\nContent-Type: {mime_type}\r\n\r\n"
        ));
        self
    }
}

impl CloudApi {
    /// Posts a form whose file has exactly `size` bytes.
    pub(crate) async fn post_form(
        &self,
        account: &Account,
        path: &str,
        form: Form,
        file: BlobStream,
        size: u64,
    ) -> Result<Value, CallError> {
        let tail = format!("\r\n--{}--\r\n", form.boundary);
        let body = OutgoingBody::around(Bytes::from(form.head), file, size, Bytes::from(tail));
        let kind = format!("multipart/form-data; boundary={}", form.boundary);
        let request = Self::request(account, &Method::POST, &self.url(path))?;
        let request = finish(request.header(CONTENT_TYPE, kind), body)?;
        let deadline = self.transfer_deadline(size);
        let exchange = self.transport.exchange(request, deadline, MAX_REPLY_BYTES).await;
        exchange.map_err(Broken::into_call_error)?.into_json(&account.access_token)
    }
}

/// 128 random bits: no file holds them by chance, and none can be made to.
fn boundary() -> String {
    let mut random = [0; 16];
    // The operating system gives random bytes from the moment it runs programs; without them only
    // a file that was made for it could end its part early.
    let _ = getrandom::fill(&mut random);
    format!("waypost-{:032x}", u128::from_be_bytes(random))
}

//! What is remembered of uploaded template samples: sessions under way, handles of complete ones.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::entropy;

/// Upload sessions that are remembered; the oldest is forgotten.
pub const UPLOAD_SESSIONS_MAX: usize = 1_000;
/// Handles of complete uploads that are remembered; the oldest is forgotten.
pub const UPLOAD_HANDLES_MAX: usize = 10_000;

/// An upload under way.
#[derive(Debug)]
pub(crate) struct Session {
    id: String,
    /// The value of `sig` in its address.
    sig: String,
    mime: String,
    pub(crate) length: u64,
    pub(crate) received: u64,
}

/// Sessions under way and handles of complete uploads with their types.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    sessions: VecDeque<Session>,
    handles: VecDeque<(String, String)>,
}

impl Uploads {
    /// The type of the file behind a handle.
    pub(crate) fn type_of(&self, handle: &str) -> Option<&str> {
        let found = self.handles.iter().find(|(known, _)| known == handle);
        found.map(|(_, mime)| mime.as_str())
    }

    /// Opens a session; its address.
    pub(crate) fn begin(&mut self, mime: String, length: u64) -> String {
        let mut random = [0_u8; 18];
        entropy::fill(&mut random);
        let id = STANDARD.encode(format!("attachment:{}", entropy::lower_hex(&random[..12])));
        let sig = format!("AR{}", entropy::lower_hex(&random[12..]));
        let address = format!("upload:{id}?sig={sig}");
        if self.sessions.len() >= UPLOAD_SESSIONS_MAX {
            self.sessions.pop_front();
        }
        self.sessions.push_back(Session { id, sig, mime, length, received: 0 });
        address
    }

    /// A session by the parts of its address.
    pub(crate) fn find(&mut self, id: &str, sig: &str) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id && session.sig == sig)
    }

    /// Ends a session whose bytes are all there; the handle of the file.
    pub(crate) fn finish(&mut self, id: &str) -> Option<String> {
        let position = self.sessions.iter().position(|session| session.id == id)?;
        let session = self.sessions.remove(position)?;
        let mut random = [0_u8; 24];
        entropy::fill(&mut random);
        let token = URL_SAFE_NO_PAD.encode(random);
        let handle = format!("4::{}:AR{token}", STANDARD.encode(&session.mime));
        if self.handles.len() >= UPLOAD_HANDLES_MAX {
            self.handles.pop_front();
        }
        self.handles.push_back((handle.clone(), session.mime));
        Some(handle)
    }
}

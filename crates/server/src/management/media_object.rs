//! Reads the file of a Cloud API message or of a template's parameter: the id of an upload or a
//! link, with what may stand beside it. Whether the file exists is the engine's to judge.

use serde::Deserialize;
use utoipa::ToSchema;
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{MAX_CAPTION_CHARS, MediaMessage, MediaSource};
use waypost_domain::media::{MediaKind, clean_filename};
use waypost_domain::{Content, MediaId};

use super::fields::{check_address, check_length};
use crate::problem::Faults;

/// A file: `id` of an upload, or `link`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MediaInput {
    id: Option<String>,
    link: Option<String>,
    /// The media provider whose credential fetches the link.
    provider: Option<String>,
    /// For image, video and document: at most 1024 characters.
    caption: Option<String>,
    /// For documents.
    filename: Option<String>,
    /// For audio: whether it is a voice message.
    voice: Option<bool>,
}

impl MediaInput {
    /// The media message that it stands for; `None` with the faults noted.
    pub(crate) fn read(
        self,
        faults: &mut Faults,
        kind: MediaKind,
        path: &str,
    ) -> Option<Content<MediaDraft>> {
        let at = |name: &str| format!("{path}.{name}");
        if self.caption.is_some() && !kind.takes_caption() {
            faults.add(at("caption"), "is only for image, video and document");
        }
        check_length(faults, &at("caption"), self.caption.as_deref(), MAX_CAPTION_CHARS);
        if self.filename.is_some() && kind != MediaKind::Document {
            faults.add(at("filename"), "is only for documents");
        }
        if self.voice.is_some() && kind != MediaKind::Audio {
            faults.add(at("voice"), "is only for audio");
        }
        let source = self.source(faults, path)?;
        let field = at(if self.id.is_some() { "id" } else { "link" });
        Some(Content::Media(MediaMessage {
            kind,
            media: MediaDraft { kind, source, field },
            caption: self.caption.filter(|caption| !caption.is_empty()),
            filename: self.filename.as_deref().and_then(clean_filename),
            voice: self.voice.unwrap_or_default(),
        }))
    }

    /// Where the file is.
    fn source(&self, faults: &mut Faults, path: &str) -> Option<MediaSource> {
        match (&self.id, &self.link) {
            (Some(id), None) => {
                if self.provider.is_some() {
                    faults.add(format!("{path}.provider"), "belongs beside link");
                }
                Some(MediaSource::Id(MediaId::new(id)))
            }
            (None, Some(link)) => {
                check_address(faults, &format!("{path}.link"), link);
                Some(MediaSource::Link { url: link.clone(), provider: self.provider.clone() })
            }
            (None, None) => {
                faults.add(format!("{path}.id"), "is required, or link");
                None
            }
            (Some(_), Some(_)) => {
                faults.add(format!("{path}.link"), "cannot stand beside id; give one of them");
                None
            }
        }
    }
}

//! Forms (flows): made, changed and published at the upstream, and kept here under our own numbers,
//! by which callers may name them in messages.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use serde_json::{Map, Value};
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Action, FlowName};
use waypost_domain::directory::Number;
use waypost_domain::manage::FlowRecord;
use waypost_domain::media::MimeType;
use waypost_domain::{Content, ErrorKind, Failure, OrgId};

use crate::Engine;
use crate::media::Upload;
use crate::ports::{Account, FlowPreview, NewFlow, UpstreamFlow};
use crate::templates::call_failure;

/// The longest definition that the upstream takes, in bytes.
pub const MAX_FLOW_JSON_BYTES: usize = 10 * 1_024 * 1_024;
/// Forms of an organisation that are listed.
const MAX_FLOWS: u32 = 5_000;
/// A form that can still be changed, and that opens for testers only.
const DRAFT: &str = "DRAFT";
const PUBLISHED: &str = "PUBLISHED";

/// A form's definition as it came.
pub enum FlowDefinition {
    /// In the request itself.
    Json(Vec<u8>),
    /// As a file.
    File(Upload),
}

/// A form to be made.
pub struct FlowDraft {
    /// Its name, unique in the business account.
    pub name: String,
    /// Meta's words.
    pub categories: Vec<String>,
    /// What it asks.
    pub definition: FlowDefinition,
}

/// What becomes different; what is absent stays.
#[derive(Default)]
pub struct FlowChange {
    /// Its name.
    pub name: Option<String>,
    /// Meta's words.
    pub categories: Option<Vec<String>>,
    /// What it asks.
    pub definition: Option<FlowDefinition>,
}

impl Engine {
    /// Makes a form in the business account of a number (`None`: the organisation's first). Either
    /// all of it is made, or nothing is left of it.
    ///
    /// # Errors
    /// No such number, a definition that is no JSON object, or what the upstream or the store says.
    pub async fn create_flow(
        &self,
        org_id: &OrgId,
        number: Option<&str>,
        draft: FlowDraft,
    ) -> Result<FlowRecord, Failure> {
        let number = self.directory().sender(org_id, number)?;
        let (engine, org_id) = (self.clone(), org_id.clone());
        self.detached(async move { engine.create_flow_now(&org_id, &number, draft).await }).await
    }

    async fn create_flow_now(
        &self,
        org_id: &OrgId,
        number: &Number,
        draft: FlowDraft,
    ) -> Result<FlowRecord, Failure> {
        let FlowDraft { name, categories, definition } = draft;
        let json = self.definition_json(org_id, definition).await?;
        let account = self.account(number)?;
        let made = self.upstream().create_flow(&account, &name, &categories).await;
        let id = made.map_err(call_failure)?;
        if let Err(error) = self.upstream().define_flow(&account, &id, json).await {
            self.take_back(&account, &id).await;
            return Err(call_failure(error));
        }
        let shown = UpstreamFlow { id, name, status: DRAFT.to_owned(), categories };
        self.record_flow(org_id, number, shown).await
    }

    /// Its name is taken as long as a form is there, even one without a definition.
    async fn take_back(&self, account: &Account, flow_id: &str) {
        if let Err(error) = self.upstream().delete_flow(account, flow_id).await {
            tracing::warn!(flow = flow_id, %error, "a flow without definition is left");
        }
    }

    /// Changes a draft.
    ///
    /// # Errors
    /// [`ErrorKind::FlowNotFound`]; [`ErrorKind::RejectedByUpstream`] where it is published; or what
    /// the upstream or the store says.
    pub async fn update_flow(
        &self,
        org_id: &OrgId,
        flow: &FlowName,
        change: FlowChange,
    ) -> Result<FlowRecord, Failure> {
        let (known, number) = self.known_flow(org_id, flow).await?;
        if known.status != DRAFT {
            let message = "A flow that is published cannot be changed.";
            return Err(Failure::new(ErrorKind::RejectedByUpstream, message));
        }
        let engine = self.clone();
        self.detached(async move { engine.update_flow_now(known, &number, change).await }).await
    }

    async fn update_flow_now(
        &self,
        known: FlowRecord,
        number: &Number,
        change: FlowChange,
    ) -> Result<FlowRecord, Failure> {
        let FlowChange { name, categories, definition } = change;
        let json = match definition {
            Some(definition) => Some(self.definition_json(&known.org_id, definition).await?),
            None => None,
        };
        let account = self.account(number)?;
        let id = known.upstream_id.as_str();
        if name.is_some() || categories.is_some() {
            let (name, categories) = (name.as_deref(), categories.as_deref());
            let changed = self.upstream().change_flow(&account, id, name, categories).await;
            changed.map_err(call_failure)?;
        }
        let mut shown = shown_of(&known);
        shown.name = name.unwrap_or(shown.name);
        shown.categories = categories.unwrap_or(shown.categories);
        let recorded = self.record_flow(&known.org_id, number, shown).await?;
        if let Some(json) = json {
            self.upstream().define_flow(&account, id, json).await.map_err(call_failure)?;
        }
        Ok(recorded)
    }

    /// Publishes a draft, for good.
    ///
    /// # Errors
    /// As [`Engine::update_flow`].
    pub async fn publish_flow(
        &self,
        org_id: &OrgId,
        flow: &FlowName,
    ) -> Result<FlowRecord, Failure> {
        let (known, number) = self.known_flow(org_id, flow).await?;
        let engine = self.clone();
        let publish = async move {
            let account = engine.account(&number)?;
            let published = engine.upstream().publish_flow(&account, &known.upstream_id).await;
            published.map_err(call_failure)?;
            let shown = UpstreamFlow { status: PUBLISHED.to_owned(), ..shown_of(&known) };
            engine.record_flow(&known.org_id, &number, shown).await
        };
        self.detached(publish).await
    }

    /// Where a form can be looked at.
    ///
    /// # Errors
    /// [`ErrorKind::FlowNotFound`], or what the upstream or the store says.
    pub async fn flow_preview(
        &self,
        org_id: &OrgId,
        flow: &FlowName,
    ) -> Result<(FlowRecord, FlowPreview), Failure> {
        let (known, number) = self.known_flow(org_id, flow).await?;
        let account = self.account(&number)?;
        let shown = self.upstream().flow_preview(&account, &known.upstream_id).await;
        Ok((known, shown.map_err(call_failure)?))
    }

    /// The forms of an organisation, or those of one number, as the upstream shows them now; as
    /// they were last seen, where it cannot be asked.
    ///
    /// # Errors
    /// No such number, or what the store says.
    pub async fn flows(
        &self,
        org_id: &OrgId,
        number: Option<&str>,
    ) -> Result<Vec<FlowRecord>, Failure> {
        let only = number.map(|name| self.directory().sender(org_id, Some(name))).transpose()?;
        let numbers = match &only {
            Some(number) => vec![Arc::clone(number)],
            None => self.directory().numbers(org_id),
        };
        let mut seen = HashSet::new();
        for number in numbers {
            if seen.insert(number.waba_id.clone())
                && let Err(error) = self.refresh_flows(org_id, &number).await
            {
                tracing::warn!(number = %number.id, %error, "flows are listed as last seen");
            }
        }
        let only = only.map(|number| number.id.clone());
        Ok(self.store().flows(org_id, only.as_ref(), MAX_FLOWS).await?)
    }

    /// Records what the upstream shows. Forms that were made elsewhere become known where the
    /// business account is the organisation's own; on a shared one they are somebody else's.
    async fn refresh_flows(&self, org_id: &OrgId, number: &Number) -> Result<(), Failure> {
        let account = self.account(number)?;
        for shown in self.upstream().flows(&account).await.map_err(call_failure)? {
            let known = self.store().flow(org_id, &FlowName::Id(shown.id.clone())).await?;
            let known = known.filter(|known| known.upstream_id == shown.id);
            // It stays with the number by which it was made: several may share an account.
            let number = match &known {
                Some(known) => self.directory().number(&known.number_id),
                None if number.org_id == *org_id => Some(Arc::new(number.clone())),
                None => None,
            };
            if let Some(number) = number {
                self.record_flow(org_id, &number, shown).await?;
            }
        }
        Ok(())
    }

    /// A message that opens a form gets the upstream's name for it, and says whether it is a draft.
    pub(crate) async fn settle_flow(
        &self,
        org_id: &OrgId,
        content: &mut Content<MediaDraft>,
    ) -> Result<(), Failure> {
        let Content::Interactive(interactive) = content else { return Ok(()) };
        let Action::Flow(call) = &mut interactive.action else { return Ok(()) };
        let Some(known) = self.store().flow(org_id, &call.flow).await? else {
            // What we do not know may still be the upstream's, unless it was named by our number.
            return match call.flow {
                FlowName::Local(_) => Err(no_such_flow()),
                FlowName::Id(_) | FlowName::Name(_) => Ok(()),
            };
        };
        let known = Box::pin(self.up_to_date(known)).await;
        call.draft |= known.status == DRAFT;
        call.flow = FlowName::Id(known.upstream_id);
        Ok(())
    }

    /// A draft may have been published elsewhere; a published form stays so.
    async fn up_to_date(&self, known: FlowRecord) -> FlowRecord {
        if known.status != DRAFT {
            return known;
        }
        match self.read_again(&known).await {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(flow = known.id, %error, "a flow is taken as last seen");
                known
            }
        }
    }

    async fn read_again(&self, known: &FlowRecord) -> Result<FlowRecord, Failure> {
        let number = self.flow_number(known)?;
        let account = self.account(&number)?;
        let shown = self.upstream().read_flow(&account, &known.upstream_id).await;
        self.record_flow(&known.org_id, &number, shown.map_err(call_failure)?).await
    }

    async fn known_flow(
        &self,
        org_id: &OrgId,
        flow: &FlowName,
    ) -> Result<(FlowRecord, Arc<Number>), Failure> {
        let known = self.store().flow(org_id, flow).await?.ok_or_else(no_such_flow)?;
        let number = self.flow_number(&known)?;
        Ok((known, number))
    }

    fn flow_number(&self, known: &FlowRecord) -> Result<Arc<Number>, Failure> {
        self.directory().number(&known.number_id).ok_or_else(|| {
            let message = "The number by which this flow was made is gone.";
            Failure::new(ErrorKind::NumberNotFound, message)
        })
    }

    async fn record_flow(
        &self,
        org_id: &OrgId,
        number: &Number,
        shown: UpstreamFlow,
    ) -> Result<FlowRecord, Failure> {
        let (org_id, number_id) = (org_id.clone(), number.id.clone());
        let flow = NewFlow { org_id, number_id, shown };
        Ok(self.store().record_flow(flow, self.now()).await?)
    }

    /// A definition's bytes, once they are a JSON object.
    async fn definition_json(
        &self,
        org_id: &OrgId,
        definition: FlowDefinition,
    ) -> Result<Bytes, Failure> {
        let json = match definition {
            FlowDefinition::Json(json) => Bytes::from(json),
            FlowDefinition::File(upload) => self.read_upload(org_id, upload).await?,
        };
        if json.len() > MAX_FLOW_JSON_BYTES {
            let message = format!("A flow's JSON may have at most {MAX_FLOW_JSON_BYTES} bytes.");
            return Err(Failure::new(ErrorKind::MediaTooLarge, message).at("file"));
        }
        if serde_json::from_slice::<Map<String, Value>>(&json).is_err() {
            let message = "The flow's file must hold a JSON object.";
            return Err(Failure::new(ErrorKind::InvalidValue, message).at("file"));
        }
        Ok(json)
    }

    async fn read_upload(&self, org_id: &OrgId, upload: Upload) -> Result<Bytes, Failure> {
        if upload.size() > MAX_FLOW_JSON_BYTES as u64 {
            let message = format!("A flow's JSON may have at most {MAX_FLOW_JSON_BYTES} bytes.");
            return Err(Failure::new(ErrorKind::MediaTooLarge, message).at("file"));
        }
        let text = MimeType::parse("text/plain").expect("it is a supported type");
        let (record, _, body) = self.borrow_upload(org_id, upload, text, None).await?;
        let read = body.try_fold(Vec::new(), async |mut read, chunk| {
            read.extend_from_slice(&chunk);
            Ok(read)
        });
        let read = read.await;
        self.delete_media(org_id, &record.id).await?;
        read.map(Bytes::from).map_err(|error| {
            let message = format!("The uploaded file cannot be read: {error}.");
            Failure::new(ErrorKind::Unavailable, message)
        })
    }
}

fn shown_of(known: &FlowRecord) -> UpstreamFlow {
    UpstreamFlow {
        id: known.upstream_id.clone(),
        name: known.name.clone(),
        status: known.status.clone(),
        categories: known.categories.clone(),
    }
}

fn no_such_flow() -> Failure {
    Failure::new(ErrorKind::FlowNotFound, "The organisation has no such flow.")
}

//! Forms and samples of templates, with an upstream that keeps forms in memory.

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Action, FlowCall, FlowName, Interactive};
use waypost_domain::manage::FlowRecord;
use waypost_domain::media::MimeType;
use waypost_domain::retry::RetryClass;
use waypost_domain::{Content, ErrorKind, Failure, OrgId};
use waypost_engine::ports::{Account, CallError, FlowPreview, FlowUpstream, PutMode, UpstreamFlow};
use waypost_engine::{FlowChange, FlowDefinition, FlowDraft, MAX_FLOW_JSON_BYTES, Upload};

use crate::rig::{Rig, ScriptedUpstream, number, org, send_to};

const JSON: &[u8] = br#"{"version":"7.0","screens":[]}"#;

/// The forms that an upstream has.
#[derive(Default)]
pub(crate) struct ScriptedForms {
    kept: Mutex<Vec<(UpstreamFlow, Option<Bytes>)>>,
    calls: Mutex<Vec<String>>,
    refuses_definitions: Mutex<bool>,
    pub(crate) samples: Mutex<Vec<String>>,
}

fn refusal(kind: ErrorKind) -> CallError {
    let failure = Failure::new(kind, "the upstream said no");
    CallError { failure, class: RetryClass::Never }
}

impl ScriptedForms {
    fn noting<T>(
        &self,
        call: &str,
        id: &str,
        work: impl FnOnce(&mut (UpstreamFlow, Option<Bytes>)) -> T,
    ) -> Result<T, CallError> {
        self.calls.lock().push(format!("{call} {id}"));
        let mut kept = self.kept.lock();
        let found = kept.iter_mut().find(|(flow, _)| flow.id == id);
        found.map(work).ok_or_else(|| refusal(ErrorKind::FlowNotFound))
    }

    fn add(&self, id: &str, name: &str, status: &str) {
        let (id, name, status) = (id.to_owned(), name.to_owned(), status.to_owned());
        let categories = vec!["OTHER".to_owned()];
        self.kept.lock().push((UpstreamFlow { id, name, status, categories }, None));
    }

    fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock())
    }
}

#[async_trait]
impl FlowUpstream for ScriptedUpstream {
    async fn create_flow(
        &self,
        _: &Account,
        name: &str,
        categories: &[String],
    ) -> Result<String, CallError> {
        let mut kept = self.forms.kept.lock();
        let id = (7_001 + kept.len()).to_string();
        let (name, status) = (name.to_owned(), "DRAFT".to_owned());
        let flow = UpstreamFlow { id: id.clone(), name, status, categories: categories.to_vec() };
        kept.push((flow, None));
        self.forms.calls.lock().push(format!("create {id}"));
        Ok(id)
    }

    async fn change_flow(
        &self,
        _: &Account,
        id: &str,
        name: Option<&str>,
        categories: Option<&[String]>,
    ) -> Result<(), CallError> {
        self.forms.noting("change", id, |(flow, _)| {
            flow.name = name.map_or_else(|| flow.name.clone(), str::to_owned);
            flow.categories =
                categories.map_or_else(|| flow.categories.clone(), <[String]>::to_vec);
        })
    }

    async fn define_flow(&self, _: &Account, id: &str, json: Bytes) -> Result<(), CallError> {
        if *self.forms.refuses_definitions.lock() {
            return Err(refusal(ErrorKind::RejectedByUpstream));
        }
        self.forms.noting("define", id, |(_, kept)| *kept = Some(json))
    }

    async fn publish_flow(&self, _: &Account, id: &str) -> Result<(), CallError> {
        self.forms.noting("publish", id, |(flow, _)| flow.status = "PUBLISHED".to_owned())
    }

    async fn delete_flow(&self, _: &Account, id: &str) -> Result<(), CallError> {
        self.forms.noting("delete", id, |_| ())?;
        self.forms.kept.lock().retain(|(flow, _)| flow.id != id);
        Ok(())
    }

    async fn read_flow(&self, _: &Account, id: &str) -> Result<UpstreamFlow, CallError> {
        self.forms.noting("read", id, |(flow, _)| flow.clone())
    }

    async fn flow_preview(&self, _: &Account, id: &str) -> Result<FlowPreview, CallError> {
        self.forms.noting("preview", id, |_| FlowPreview {
            url: format!("https://preview.example/{id}"),
            expires_at: "2026-02-14T06:59:53+0000".to_owned(),
        })
    }

    async fn flows(&self, _: &Account) -> Result<Vec<UpstreamFlow>, CallError> {
        Ok(self.forms.kept.lock().iter().map(|(flow, _)| flow.clone()).collect())
    }
}

fn org_1() -> OrgId {
    OrgId::new("org-1")
}

fn draft(name: &str, definition: FlowDefinition) -> FlowDraft {
    FlowDraft { name: name.to_owned(), categories: vec!["SURVEY".to_owned()], definition }
}

fn json() -> FlowDefinition {
    FlowDefinition::Json(JSON.to_vec())
}

async fn made(rig: &Rig, name: &str) -> FlowRecord {
    rig.engine.create_flow(&org_1(), None, draft(name, json())).await.unwrap()
}

async fn uploaded(rig: &Rig, bytes: &'static [u8]) -> Upload {
    let mut upload = rig.engine.begin_upload().await.unwrap();
    upload.write(Bytes::from_static(bytes)).await.unwrap();
    upload
}

#[tokio::test]
async fn a_form_is_made_changed_and_published_under_our_own_number() {
    let rig = Rig::new().await;
    let record = made(&rig, "Visit").await;
    assert_eq!((record.status.as_str(), record.upstream_id.as_str()), ("DRAFT", "7001"));
    assert_eq!(record.created_at, rig.engine.now());
    assert_eq!(rig.upstream.forms.take_calls(), ["create 7001", "define 7001"]);
    assert_eq!(rig.upstream.forms.kept.lock()[0].1.as_deref(), Some(JSON));

    let change = FlowChange {
        categories: Some(vec!["OTHER".to_owned()]),
        definition: Some(json()),
        ..FlowChange::default()
    };
    let changed = rig.engine.update_flow(&org_1(), &FlowName::Local(record.id), change).await;
    let changed = changed.unwrap();
    assert_eq!((changed.id, changed.name.as_str()), (record.id, "Visit"));
    assert_eq!(changed.categories, ["OTHER"]);
    assert_eq!(rig.upstream.forms.take_calls(), ["change 7001", "define 7001"]);

    let by_upstream_id = FlowName::Id("7001".to_owned());
    let (_, preview) = rig.engine.flow_preview(&org_1(), &by_upstream_id).await.unwrap();
    assert_eq!(preview.url, "https://preview.example/7001");
    let published = rig.engine.publish_flow(&org_1(), &by_upstream_id).await.unwrap();
    assert_eq!((published.id, published.status.as_str()), (record.id, "PUBLISHED"));
    let change = FlowChange { name: Some("New".to_owned()), ..FlowChange::default() };
    let refused = rig.engine.update_flow(&org_1(), &by_upstream_id, change).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::RejectedByUpstream);
}

#[tokio::test]
async fn a_form_whose_definition_is_refused_leaves_nothing() {
    let rig = Rig::new().await;
    *rig.upstream.forms.refuses_definitions.lock() = true;
    let refused = rig.engine.create_flow(&org_1(), None, draft("Visit", json())).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::RejectedByUpstream);
    assert_eq!(rig.upstream.forms.take_calls(), ["create 7001", "delete 7001"]);
    assert!(rig.engine.flows(&org_1(), None).await.unwrap().is_empty());
    for wrong in [&b""[..], b"[]", b"{", b"text"] {
        let definition = FlowDefinition::Json(wrong.to_vec());
        let refused = rig.engine.create_flow(&org_1(), None, draft("Visit", definition)).await;
        let failure = refused.unwrap_err();
        assert_eq!(
            (failure.kind, failure.field.as_deref()),
            (ErrorKind::InvalidValue, Some("file"))
        );
    }
    let definition = FlowDefinition::Json(vec![b' '; MAX_FLOW_JSON_BYTES + 1]);
    let refused = rig.engine.create_flow(&org_1(), None, draft("Visit", definition)).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::MediaTooLarge);
    assert!(rig.upstream.forms.take_calls().is_empty(), "the upstream was not asked");
}

#[tokio::test]
async fn a_definition_may_come_as_a_file_which_is_not_kept() {
    let rig = Rig::new().await;
    let file = FlowDefinition::File(uploaded(&rig, JSON).await);
    rig.engine.create_flow(&org_1(), None, draft("Visit", file)).await.unwrap();
    assert_eq!(rig.upstream.forms.kept.lock()[0].1.as_deref(), Some(JSON));
    let page = waypost_engine::ports::Page { after: None, limit: 10 };
    assert!(rig.engine.store().media_list(&org_1(), page).await.unwrap().data.is_empty());
}

#[tokio::test]
async fn forms_of_others_are_not_found() {
    let rig = Rig::new().await;
    let record = made(&rig, "Visit").await;
    rig.put_org(org("org-2"), PutMode::Create).await;
    let other = OrgId::new("org-2");
    for name in [
        FlowName::Local(record.id),
        FlowName::Id(record.upstream_id.clone()),
        FlowName::Name("Visit".to_owned()),
    ] {
        let failure = rig.engine.publish_flow(&other, &name).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::FlowNotFound, "{name:?}");
        assert!(rig.engine.flow_preview(&other, &name).await.is_err());
    }
    let unknown = FlowName::Local(99);
    let failure = rig.engine.flow_preview(&org_1(), &unknown).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::FlowNotFound);
}

#[tokio::test]
async fn a_list_knows_what_was_made_or_published_elsewhere() {
    let rig = Rig::new().await;
    let record = made(&rig, "Visit").await;
    rig.upstream.forms.kept.lock()[0].0.status = "PUBLISHED".to_owned();
    rig.upstream.forms.add("9009", "Elsewhere", "DRAFT");
    let listed = rig.engine.flows(&org_1(), None).await.unwrap();
    let told: Vec<_> =
        listed.iter().map(|flow| (flow.name.as_str(), flow.status.as_str())).collect();
    assert_eq!(told, [("Visit", "PUBLISHED"), ("Elsewhere", "DRAFT")]);
    assert_eq!(listed[0].id, record.id);
    assert_eq!(rig.engine.flows(&org_1(), Some("number-1")).await.unwrap(), listed);
    let failure = rig.engine.flows(&org_1(), Some("nobody")).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::NumberNotFound);
}

#[tokio::test]
async fn on_a_shared_number_forms_of_its_owner_stay_unknown() {
    let rig = Rig::new().await;
    let shared = waypost_domain::directory::Number { shared: true, ..number(1_000) };
    rig.engine.put_number(shared, PutMode::Replace).await.unwrap();
    made(&rig, "Owner's").await;
    let guest =
        waypost_domain::directory::Org { join_code: Some("join guest".to_owned()), ..org("org-2") };
    rig.put_org(guest, PutMode::Create).await;
    let guest = OrgId::new("org-2");
    let own = rig.engine.create_flow(&guest, None, draft("Guest's", json())).await.unwrap();
    let listed = rig.engine.flows(&guest, Some("number-1")).await.unwrap();
    assert_eq!(listed, [own]);
}

fn opening(flow: FlowName) -> Content<MediaDraft> {
    let call = FlowCall {
        flow,
        cta: "Book".to_owned(),
        token: None,
        draft: false,
        action: None,
        screen: None,
        data: serde_json::Map::new(),
    };
    Content::Interactive(Box::new(Interactive::new("Tell us more", Action::Flow(call))))
}

async fn sent(rig: &Rig, flow: FlowName) -> Result<(FlowName, bool), Failure> {
    let before = rig.upstream.seen.lock().len();
    rig.engine.send(send_to("cust-1", opening(flow))).await?.outcome.result.unwrap();
    let content = rig.upstream.seen.lock()[before].content.clone();
    let action = match content {
        Content::Interactive(interactive) => Some(interactive.action),
        _ => None,
    };
    let call = match action {
        Some(Action::Flow(call)) => Some(call),
        _ => None,
    };
    Ok(call.map(|call| (call.flow, call.draft)).unwrap())
}

#[tokio::test]
async fn a_message_names_a_form_by_the_upstreams_id_and_says_whether_it_is_a_draft() {
    let rig = Rig::new().await;
    let record = made(&rig, "Visit").await;
    let upstream_id = || FlowName::Id("7001".to_owned());
    let (by_number, by_name) = (FlowName::Local(record.id), FlowName::Name("Visit".to_owned()));
    for name in [by_number.clone(), by_name, upstream_id(), FlowName::Local(7_001)] {
        assert_eq!(sent(&rig, name).await.unwrap(), (upstream_id(), true));
    }
    // Published by hand, in Meta's own tool.
    rig.upstream.forms.kept.lock()[0].0.status = "PUBLISHED".to_owned();
    assert_eq!(sent(&rig, by_number.clone()).await.unwrap(), (upstream_id(), false));
    rig.upstream.forms.take_calls();
    assert_eq!(sent(&rig, by_number).await.unwrap(), (upstream_id(), false));
    assert!(rig.upstream.forms.take_calls().is_empty(), "a published form stays so");
}

#[tokio::test]
async fn a_message_may_name_a_form_that_only_the_upstream_knows_but_not_by_our_number() {
    let rig = Rig::new().await;
    for name in [FlowName::Id("9009".to_owned()), FlowName::Name("Elsewhere".to_owned())] {
        assert_eq!(sent(&rig, name.clone()).await.unwrap(), (name, false));
    }
    let failure = sent(&rig, FlowName::Local(9_009)).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::FlowNotFound);
    assert_eq!(rig.upstream.sent_to().len(), 2);
}

#[tokio::test]
async fn a_sample_passes_through_to_the_upstream_and_is_not_kept() {
    let rig = Rig::new().await;
    let png = || MimeType::parse("image/png").unwrap();
    let file = uploaded(&rig, crate::rig::PNG).await;
    let handle = rig.engine.upload_template_sample(&org_1(), None, file, png(), None).await;
    assert_eq!(handle.unwrap(), "4:sample");
    assert_eq!(*rig.upstream.forms.samples.lock(), ["app-1 image/png sample.png"]);
    let page = waypost_engine::ports::Page { after: None, limit: 10 };
    assert!(rig.engine.store().media_list(&org_1(), page).await.unwrap().data.is_empty());
    let empty = uploaded(&rig, b"").await;
    let refused = rig.engine.upload_template_sample(&org_1(), None, empty, png(), None).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::InvalidValue);
}

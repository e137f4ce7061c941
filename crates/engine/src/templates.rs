//! Templates: looked up in the directory, upstream once where unknown, and kept in step by syncs
//! and webhooks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;
use waypost_domain::directory::Number;
use waypost_domain::template::Template;
use waypost_domain::{ErrorKind, Failure, OrgId};

use crate::Engine;
use crate::panics::{BUG, caught};
use crate::ports::{CallError, CreationClaim, NewRecord};

/// How long a template that the upstream did not know stays unknown without asking again.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);
/// How many unknown names are remembered; beyond, all are forgotten.
const MAX_UNKNOWN: usize = 1_000;

/// Names that the upstream did not know, and when it said so.
#[derive(Default)]
pub(crate) struct UnknownTemplates(Mutex<HashMap<(String, String), Instant>>);

impl UnknownTemplates {
    fn is_known_unknown(&self, waba_id: &str, name: &str) -> bool {
        let key = (waba_id.to_owned(), name.to_owned());
        self.0.lock().get(&key).is_some_and(|asked| asked.elapsed() < UNKNOWN_FOR)
    }

    fn remember(&self, waba_id: &str, name: &str) {
        let mut unknown = self.0.lock();
        if unknown.len() >= MAX_UNKNOWN {
            unknown.clear();
        }
        unknown.insert((waba_id.to_owned(), name.to_owned()), Instant::now());
    }
}

impl Engine {
    /// The templates with a name that a number may send. Fails where the upstream had to be asked
    /// and did not say.
    pub(crate) async fn templates_named(
        &self,
        number: &Number,
        name: &str,
    ) -> Result<Vec<Template>, Failure> {
        let waba_id = &number.waba_id;
        let known = self.directory().templates_named(waba_id, name);
        if !known.is_empty() || self.unknown_templates().is_known_unknown(waba_id, name) {
            return Ok(known);
        }
        // Not to be able to ask is no proof that there is none.
        self.refresh_template(number, name)
            .await
            .inspect_err(|error| tracing::warn!(template = name, %error, "template look-up"))?;
        let found = self.directory().templates_named(waba_id, name);
        if found.is_empty() {
            self.unknown_templates().remember(waba_id, name);
        }
        Ok(found)
    }

    /// The template with the upstream's id that a number may send.
    pub(crate) async fn template_with_id(
        &self,
        number: &Number,
        id: &str,
    ) -> Result<Option<Template>, Failure> {
        let waba_id = &number.waba_id;
        let known = self.directory().template_with_id(waba_id, id);
        if known.is_some() || self.unknown_templates().is_known_unknown(waba_id, id) {
            return Ok(known);
        }
        // The upstream looks templates up by name only.
        self.refresh_templates(number)
            .await
            .inspect_err(|error| tracing::warn!(template = id, %error, "template look-up"))?;
        let found = self.directory().template_with_id(waba_id, id);
        if found.is_none() {
            self.unknown_templates().remember(waba_id, id);
        }
        Ok(found)
    }

    /// Reads all templates of a number's business account. Returns how many there are.
    async fn refresh_templates(&self, number: &Number) -> Result<usize, Failure> {
        let account = self.account(number)?;
        let read = self.upstream().templates(&account, None, self.now()).await;
        let templates = read.map_err(call_failure)?;
        let count = templates.len();
        self.directory().replace_templates(&number.waba_id, templates).await?;
        Ok(count)
    }

    /// Reads one name from the upstream.
    pub(crate) async fn refresh_template(
        &self,
        number: &Number,
        name: &str,
    ) -> Result<(), Failure> {
        let account = self.account(number)?;
        let now = self.now();
        let read = self.upstream().templates(&account, Some(name), now).await;
        for template in read.map_err(call_failure)? {
            self.directory().put_template(template).await?;
        }
        Ok(())
    }

    /// Reads all templates of an organisation's business accounts. Returns how many there are.
    ///
    /// # Errors
    /// What the upstream or the store says.
    pub async fn sync_templates(&self, org_id: &OrgId) -> Result<usize, Failure> {
        let mut synced = HashMap::new();
        for number in self.directory().numbers(org_id) {
            if synced.contains_key(&number.waba_id) {
                continue;
            }
            synced.insert(number.waba_id.clone(), self.refresh_templates(&number).await?);
        }
        Ok(synced.values().sum())
    }

    /// Reads the templates of every organisation; what cannot be read stays as it was.
    pub async fn sync_all_templates(&self) {
        for org in self.directory().orgs() {
            match caught(self.sync_templates(&org.id)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::warn!(org = %org.id, %error, "templates could not be read");
                }
                None => tracing::error!(org = %org.id, "templates: {BUG}"),
            }
        }
    }

    /// Creates a template at the upstream, from Meta's form, in the business account of one of the
    /// organisation's own numbers (by default its first), and records the claim of its request's key
    /// where it has one; returns Meta's answer. Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`ErrorKind::NumberNotFound`] where it has no such number, or what the upstream or the store
    /// says.
    pub async fn create_template(
        &self,
        org_id: &OrgId,
        number: Option<&str>,
        template: Value,
        record: Option<(NewRecord, CreationClaim)>,
    ) -> Result<Value, Failure> {
        let number = self.directory().sender(org_id, number)?;
        if number.org_id != *org_id {
            return Err(not_its_own());
        }
        let engine = self.clone();
        let create = async move {
            let account = engine.account(&number)?;
            let created = engine.upstream().create_template(&account, &template).await;
            let created = created.map_err(call_failure)?;
            if let Some((record, claim)) = record {
                engine.store().create(record, claim).await?;
            }
            if let Some(name) = template["name"].as_str() {
                engine.follow_template(&number, name).await;
            }
            Ok(created)
        };
        self.detached(create).await
    }

    /// Edits a template at the upstream, in the business account that it belongs to. Runs to its end
    /// even if the caller goes away.
    ///
    /// # Errors
    /// [`ErrorKind::NumberNotFound`] where the account is not the organisation's own, or what the
    /// upstream says.
    pub async fn edit_template(
        &self,
        org_id: &OrgId,
        template: &Template,
        change: Value,
    ) -> Result<(), Failure> {
        let number = self.own_number_of(org_id, &template.waba_id)?;
        let (engine, template) = (self.clone(), template.clone());
        let edit = async move {
            let account = engine.account(&number)?;
            let edited = engine.upstream().edit_template(&account, &template.id, &change).await;
            edited.map_err(call_failure)?;
            engine.follow_template(&number, &template.name).await;
            Ok(())
        };
        self.detached(edit).await
    }

    /// Reads what became of a template that was made or changed. It was: that it cannot be read now
    /// does not undo that, and a webhook or the next look-up brings it.
    async fn follow_template(&self, number: &Number, name: &str) {
        if let Err(error) = self.refresh_template(number, name).await {
            tracing::warn!(template = name, %error, "a changed template could not be read");
        }
    }

    /// Deletes one language of a template at the upstream, in the business account that it belongs
    /// to. Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`ErrorKind::NumberNotFound`] where the account is not the organisation's own, or what the
    /// upstream or the store says.
    pub async fn delete_template(
        &self,
        org_id: &OrgId,
        template: &Template,
    ) -> Result<(), Failure> {
        let account = self.account(&*self.own_number_of(org_id, &template.waba_id)?)?;
        let engine = self.clone();
        let Template { id, waba_id, name, language, .. } = template.clone();
        let delete = async move {
            let deleted = engine.upstream().delete_template(&account, &name, Some(&id)).await;
            deleted.map_err(call_failure)?;
            Ok(engine.directory().remove_template(&waba_id, &name, Some(&language)).await?)
        };
        self.detached(delete).await
    }

    /// A number of the organisation's own with this business account. A shared number's templates
    /// are for its owner to manage.
    fn own_number_of(&self, org_id: &OrgId, waba_id: &str) -> Result<Arc<Number>, Failure> {
        let mut numbers = self.directory().numbers(org_id).into_iter();
        numbers.find(|number| number.waba_id == waba_id).ok_or_else(not_its_own)
    }

    /// A template's status changed, by the upstream's word.
    pub(crate) async fn template_changed(
        &self,
        waba_id: &str,
        name: &str,
        language: &str,
        event: &str,
    ) -> Result<(), Failure> {
        let known = self.directory().templates_named(waba_id, name);
        if let Some(mut template) = known.into_iter().find(|template| template.language == language)
        {
            event.clone_into(&mut template.status);
            return Ok(self.directory().put_template(template).await?);
        }
        let numbers = self.directory().all_numbers();
        if let Some(number) = numbers.iter().find(|number| number.waba_id == waba_id) {
            self.refresh_template(number, name).await?;
        }
        Ok(())
    }
}

pub(crate) fn call_failure(error: CallError) -> Failure {
    error.failure
}

fn not_its_own() -> Failure {
    let message = "Templates are managed by the organisation whose number it is.";
    Failure::new(ErrorKind::NumberNotFound, message)
}

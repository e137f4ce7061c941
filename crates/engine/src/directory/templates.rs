//! Templates in the directory: looked up by name, language and the upstream's id, and written as the
//! upstream shows them.

use waypost_domain::place::Traffic;
use waypost_domain::template::Template;
use waypost_domain::window::UsableTemplate;

use super::Directory;
use crate::ports::StoreResult;

impl Directory {
    /// The templates of a business account with a name, one for each language.
    #[must_use]
    pub fn templates_named(&self, waba_id: &str, name: &str) -> Vec<Template> {
        let state = self.state();
        let named = state.templates.get(waba_id).and_then(|names| names.get(name));
        named.cloned().unwrap_or_default()
    }

    /// Whether a template of this name carries one-time codes.
    #[must_use]
    pub fn is_authentication(&self, waba_id: &str, name: &str) -> bool {
        let state = self.state();
        let named = state.templates.get(waba_id).and_then(|names| names.get(name));
        let mut named = named.into_iter().flatten();
        named.any(|template| template.category.eq_ignore_ascii_case("AUTHENTICATION"))
    }

    /// What kind of traffic a template of a business account is, where it is known.
    #[must_use]
    pub fn traffic_of(&self, waba_id: &str, name: &str, language: Option<&str>) -> Option<Traffic> {
        let state = self.state();
        let named = state.templates.get(waba_id)?.get(name)?;
        let wanted = |template: &&Template| language.is_none_or(|it| template.language == it);
        let template = named.iter().find(wanted).or(named.first())?;
        Some(Traffic::of_category(&template.category))
    }

    /// Some templates of a business account that may be sent to anybody: notices first, by name.
    #[must_use]
    pub fn usable_templates(&self, waba_id: &str, most: usize) -> Vec<UsableTemplate> {
        let state = self.state();
        let Some(names) = state.templates.get(waba_id) else { return Vec::new() };
        let usable = names.values().flatten().filter_map(|template| {
            let traffic = Traffic::of_category(&template.category);
            let usable = template.is_approved() && traffic != Traffic::Authentication;
            usable.then_some((traffic, &template.name, &template.language, template))
        });
        let mut usable: Vec<_> = usable.collect();
        usable.sort_unstable_by_key(|(traffic, name, language, _)| (*traffic, *name, *language));
        usable.truncate(most);
        let view = |template: &Template| UsableTemplate {
            name: template.name.clone(),
            language: template.language.clone(),
            category: template.category.clone(),
        };
        usable.into_iter().map(|(.., template)| view(template)).collect()
    }

    /// The template of a business account with the upstream's id.
    #[must_use]
    pub fn template_with_id(&self, waba_id: &str, id: &str) -> Option<Template> {
        let state = self.state();
        let mut all = state.templates.get(waba_id)?.values().flatten();
        all.find(|template| template.id == id).cloned()
    }

    /// All templates of a business account by name and language.
    #[must_use]
    pub fn templates(&self, waba_id: &str) -> Vec<Template> {
        let state = self.state();
        let Some(names) = state.templates.get(waba_id) else { return Vec::new() };
        let mut all: Vec<Template> = names.values().flatten().cloned().collect();
        all.sort_by(|one, other| (&one.name, &one.language).cmp(&(&other.name, &other.language)));
        all
    }

    /// Makes the templates of a business account exactly these.
    ///
    /// # Errors
    /// What the store says.
    pub async fn replace_templates(
        &self,
        waba_id: &str,
        templates: Vec<Template>,
    ) -> StoreResult<()> {
        let waba_id = waba_id.to_owned();
        self.write(|kept| async move {
            kept.store.replace_templates(&waba_id, templates.clone()).await?;
            kept.state.write().replace_templates(&waba_id, templates);
            Ok(())
        })
        .await
    }

    /// Writes one template.
    ///
    /// # Errors
    /// What the store says.
    pub async fn put_template(&self, template: Template) -> StoreResult<()> {
        self.write(|kept| async move {
            kept.store.put_template(template.clone()).await?;
            kept.state.write().put_template(template);
            Ok(())
        })
        .await
    }

    /// Removes one language of a template, or all.
    ///
    /// # Errors
    /// What the store says.
    pub async fn remove_template(
        &self,
        waba_id: &str,
        name: &str,
        language: Option<&str>,
    ) -> StoreResult<()> {
        let (waba_id, name) = (waba_id.to_owned(), name.to_owned());
        let language = language.map(str::to_owned);
        self.write(|kept| async move {
            kept.store.remove_template(&waba_id, &name, language.as_deref()).await?;
            kept.state.write().remove_template(&waba_id, &name, language.as_deref());
            Ok(())
        })
        .await
    }
}

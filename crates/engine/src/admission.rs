//! Whether a request may go ahead: rights, the people and things it names, consent and window.
//! Looks only; what is refused here leaves nothing behind.

use std::sync::Arc;

use waypost_domain::command::{
    Caller, MediaDraft, Recipient as Addressee, SendMessage, TemplateBinding,
};
use waypost_domain::content::TemplateMessage;
use waypost_domain::directory::{Number, Org};
use waypost_domain::template;
use waypost_domain::{Content, ErrorKind, Failure, OrgId, UserId};

use crate::Engine;
use crate::ports::Recipient;

/// For whom a request acts.
pub(crate) struct Acting {
    pub(crate) org: Arc<Org>,
    pub(crate) number: Arc<Number>,
}

impl Acting {
    /// The language that templates without one prefer, if the request lets the organisation choose.
    pub(crate) fn default_language(&self, ignores_org_language: bool) -> Option<&str> {
        self.org.default_language.as_deref().filter(|_| !ignores_org_language)
    }
}

impl Engine {
    /// Rights: the organisation is this caller's, the user is in it, it has the number.
    pub(crate) fn acting(
        &self,
        caller: &Caller,
        org_id: &OrgId,
        user_id: Option<&UserId>,
        number: Option<&str>,
    ) -> Result<Acting, Failure> {
        let org = self.org_of(caller, org_id)?;
        if let Some(user_id) = user_id
            && self.directory().user(org_id, user_id).is_none()
        {
            let message = format!("User {user_id} is not in the organisation.");
            return Err(Failure::new(ErrorKind::UserForbidden, message));
        }
        let number = self.directory().sender(org_id, number)?;
        Ok(Acting { org, number })
    }

    /// Rights of one message.
    pub(crate) fn acting_for(
        &self,
        caller: &Caller,
        command: &SendMessage,
    ) -> Result<Acting, Failure> {
        let (org_id, user_id) = (&command.org_id, command.user_id.as_ref());
        match self.acting(caller, org_id, user_id, command.number.as_deref()) {
            Err(failure)
                if failure.kind == ErrorKind::NumberNotFound && command.number_or_default =>
            {
                self.acting(caller, org_id, user_id, None)
            }
            acting => acting,
        }
    }

    /// The organisation, if it is this caller's. Unknown and foreign are one answer.
    pub(crate) fn org_of(&self, caller: &Caller, org_id: &OrgId) -> Result<Arc<Org>, Failure> {
        let allowed = caller.may_act_for(org_id);
        self.directory().org(org_id).filter(|_| allowed).ok_or_else(|| {
            let message = format!("Organisation {org_id} does not exist or is not this key's.");
            Failure::new(ErrorKind::OrgForbidden, message)
        })
    }

    /// The person that a message is for.
    pub(crate) async fn addressee(
        &self,
        acting: &Acting,
        addressee: &Addressee,
    ) -> Result<Recipient, Failure> {
        let (org_id, number_id) = (&acting.org.id, &acting.number.id);
        match addressee {
            Addressee::Phone(phone) => {
                Ok(self.store().recipient_by_phone(org_id, phone, number_id).await?)
            }
            Addressee::Nobody => {
                let message = "The receiver is neither a phone number nor a user id.";
                Err(Failure::new(ErrorKind::InvalidValue, message).at("to"))
            }
            Addressee::Customer(id) => {
                let found = self.store().recipient_by_id(org_id, id, number_id).await?;
                let active = |recipient: &Recipient| {
                    recipient.customer.as_ref().is_some_and(|customer| customer.active)
                };
                found.filter(active).ok_or_else(|| {
                    let message = format!("The organisation has no active customer {id}.");
                    Failure::new(ErrorKind::CustomerNotFound, message)
                })
            }
        }
    }

    /// What the content names exists and fits. Fills in a template's language, preferring
    /// `default_language`, and the values that its caller did not give in Meta's form.
    pub(crate) async fn check_content(
        &self,
        acting: &Acting,
        content: &mut Content<MediaDraft>,
        binding: Option<&TemplateBinding>,
        default_language: Option<&str>,
    ) -> Result<(), Failure> {
        if let Content::Template(message) = content {
            Box::pin(self.check_template(acting, message, binding, default_language)).await?;
        }
        if let Content::Media(message) = content {
            self.media_library().settle_kind(&acting.org.id, message).await?;
        }
        self.settle_flow(&acting.org.id, content).await?;
        for draft in content.media() {
            self.media_library().check(&acting.org.id, draft).await?;
        }
        Ok(())
    }

    async fn check_template(
        &self,
        acting: &Acting,
        message: &mut TemplateMessage<MediaDraft>,
        binding: Option<&TemplateBinding>,
        default_language: Option<&str>,
    ) -> Result<(), Failure> {
        self.settle_template_name(&acting.number, message).await?;
        let candidates = self.templates_named(&acting.number, &message.name).await?;
        let language = message.language.as_deref();
        let template =
            template::in_language(&message.name, &candidates, language, default_language)?;
        if let Some(binding) = binding {
            message.components = (binding.bind)(template, &binding.values)?;
        }
        template.check(message)?;
        message.language = Some(template.language.clone());
        Ok(())
    }

    /// A template that is named by the upstream's id gets its name, and its language where none is
    /// asked for.
    async fn settle_template_name(
        &self,
        number: &Number,
        message: &mut TemplateMessage<MediaDraft>,
    ) -> Result<(), Failure> {
        let digits = message.name.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !self.directory().templates_named(&number.waba_id, &message.name).is_empty() {
            return Ok(());
        }
        if let Some(template) = self.template_with_id(number, &message.name).await? {
            message.language.get_or_insert(template.language);
            message.name = template.name;
        }
        Ok(())
    }

    /// A recorded opt-out blocks sends; with strict opt-in, so does the lack of a yes. To have
    /// written is a yes, and takes no opt-out back.
    pub(crate) fn check_consent(&self, org: &Org, recipient: &Recipient) -> Result<(), Failure> {
        let customer = recipient.customer.as_ref();
        let opted_in = customer
            .and_then(|customer| customer.consent.as_ref())
            .is_some_and(|consent| consent.opted_in);
        if recipient.opted_out {
            let message = "The customer has opted out of messages.";
            return Err(Failure::new(ErrorKind::RecipientBlocked, message));
        }
        let wrote = recipient.last_inbound_at.is_some()
            || customer.is_some_and(|customer| customer.last_inbound_at.is_some());
        if org.strict_opt_in && !opted_in && !wrote {
            let message = "The customer has not opted in, and the organisation requires it.";
            return Err(Failure::new(ErrorKind::RecipientBlocked, message));
        }
        Ok(())
    }
}

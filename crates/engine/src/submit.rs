//! Accepting messages to be sent later: all of one request, or none. A message that will certainly
//! fail is accepted too, as failed, where its vendor tells failures afterwards.

use std::sync::Arc;

use waypost_domain::command::{
    Caller, MediaDraft, Recipient as Addressee, SendMessage, Submission, Submit, TemplateBinding,
};
use waypost_domain::content::{MediaRef, MediaSource};
use waypost_domain::failure::Blame;
use waypost_domain::message::{Message, MessageOptions};
use waypost_domain::place::Place;
use waypost_domain::{Content, ErrorKind, Failure, MessageId, Phone, Status, UserId};

use crate::admission::Acting;
use crate::idempotency::replayed_ids;
use crate::options;
use crate::ports::{Accepted, Recipient, Start};
use crate::windows::{Passage, Patience};
use crate::{Answer, Ask, Engine};

/// One message of a request on its way in.
struct Line {
    acting: Arc<Acting>,
    draft: Draft,
    head: Head,
}

/// On the heap each: they are a kilobyte, and passed on several times.
type Lines = Vec<Box<Line>>;

/// What a message will say. Messages with equal drafts and one sender are checked once.
#[derive(PartialEq)]
struct Draft {
    content: Content<MediaDraft>,
    binding: Option<TemplateBinding>,
    ignores_org_language: bool,
    /// Its dialect knows that it fails: nothing of it is looked up.
    is_doomed: bool,
    tells_all_later: bool,
}

/// What is a message's own.
struct Head {
    addressee: Addressee,
    /// `None` where nobody is named.
    recipient: Option<Recipient>,
    user_id: Option<UserId>,
    session_id: Option<String>,
    reference: Option<String>,
    options: MessageOptions,
    failure: Option<Failure>,
}

/// Which failures refuse a request as a whole.
#[derive(Clone, Copy)]
struct Door {
    refused_at_once: &'static [ErrorKind],
}

impl Door {
    /// The door of one draft.
    const fn of(self, draft: &Draft) -> Self {
        if draft.tells_all_later { Self { refused_at_once: &[] } } else { self }
    }

    /// The failure of a message that is accepted all the same.
    fn let_in(self, failure: Failure) -> Result<Failure, Failure> {
        let is_ours = failure.kind.blame() == Blame::Us;
        if is_ours || self.refused_at_once.contains(&failure.kind) {
            return Err(failure);
        }
        Ok(failure)
    }
}

impl Engine {
    /// Accepts messages to be sent later, all of them or none: durable when it returns, with their
    /// ids in the order of the request. What fails for a kind of `refused_at_once` refuses the
    /// request; a message that fails otherwise is accepted as failed. Runs to its end even if the
    /// caller goes away.
    ///
    /// # Errors
    /// Where nothing was accepted: no right to the organisation or a number, a failure of
    /// `refused_at_once`, or a store that cannot record now.
    pub async fn submit(
        &self,
        ask: Ask<Submit>,
        refused_at_once: &'static [ErrorKind],
    ) -> Result<Answer<Vec<MessageId>>, Failure> {
        let engine = self.clone();
        let door = Door { refused_at_once };
        self.detached(async move { engine.submit_now(ask, door).await }).await
    }

    /// The failure for which a request with these messages would be refused at once, whatever is
    /// wrong with what follows them. Accepts nothing.
    pub async fn refusal_of(
        &self,
        caller: &Caller,
        messages: Vec<Submission>,
        refused_at_once: &'static [ErrorKind],
    ) -> Option<Failure> {
        let (lines, unknown) = self.lines(caller, messages);
        self.first_refusal(lines, Door { refused_at_once }).await.or(unknown)
    }

    async fn submit_now(
        &self,
        ask: Ask<Submit>,
        door: Door,
    ) -> Result<Answer<Vec<MessageId>>, Failure> {
        let (ask, Submit { org_id, messages }) = ask.part();
        let org = self.org_of(&ask.caller, &org_id)?;
        if let Some(ids) = self.find_submit_replay(&ask, &org.id).await? {
            return Ok(Answer::replay(ids));
        }
        let (mut lines, unknown) = self.lines(&ask.caller, messages);
        if let Some(fault) = unknown.or_else(|| self.past_its_end(&lines, door)) {
            return Err(self.first_refusal(lines, door).await.unwrap_or(fault));
        }
        self.look_up_people(&mut lines, door).await?;
        let mut senders: Vec<Arc<Acting>> =
            lines.iter().map(|line| Arc::clone(&line.acting)).collect();
        senders.dedup_by(|one, next| Arc::ptr_eq(one, next));
        let accepted = self.compose(&ask, lines, door).await?;
        let ids: Vec<MessageId> = accepted.iter().map(|(message, _)| message.id).collect();
        let failed =
            accepted.iter().filter(|(_, start)| matches!(start, Start::Closed { .. })).count();
        let place = accepted.iter().map(|(_, start)| start.place()).min();
        let outcome = self.store().accept_all(accepted, ask.claim(&org.id)).await;
        if let Accepted::Replay { fingerprint, target } = outcome? {
            return replayed_ids(&ask, fingerprint, target).map(Answer::replay);
        }
        self.count().messages_accepted.add_many(ids.len());
        self.count().messages_failed.add_many(failed);
        if failed > 0 {
            self.event_logged();
        }
        for acting in senders {
            self.lane(&acting.number).queued(place.unwrap_or(Place::BROADCAST));
        }
        Ok(Answer::new(ids))
    }

    /// The messages up to the first whose sender the caller has no right to, and that failure.
    fn lines(&self, caller: &Caller, messages: Vec<Submission>) -> (Lines, Option<Failure>) {
        let mut lines = Vec::with_capacity(messages.len());
        let mut last: Option<(Sender, Arc<Acting>)> = None;
        for Submission { send, doomed, tells_all_later } in messages {
            let acting = match &last {
                Some((sender, acting)) if sender.is_of(&send) => Arc::clone(acting),
                _ => {
                    let acting = match self.acting_for(caller, &send) {
                        Ok(acting) => Arc::new(acting),
                        Err(failure) => return (lines, Some(failure)),
                    };
                    last = Some((Sender::of(&send), Arc::clone(&acting)));
                    acting
                }
            };
            lines.push(Box::new(Line::new(acting, send, doomed, tells_all_later)));
        }
        (lines, None)
    }

    /// The first failure of what these messages say that is the caller's and refuses a request.
    async fn first_refusal(&self, mut lines: Lines, door: Door) -> Option<Failure> {
        lines.dedup_by(|next, line| line.is_like(next));
        for line in lines {
            let Line { acting, draft, .. } = *line;
            let door = door.of(&draft);
            let Draft { mut content, binding, ignores_org_language, is_doomed, .. } = draft;
            if is_doomed {
                continue;
            }
            let language = acting.default_language(ignores_org_language);
            let checked =
                self.check_content(&acting, &mut content, binding.as_ref(), language).await;
            let refusal = checked.err().and_then(|failure| door.let_in(failure).err());
            // What could not be looked up hides no fault that is certain.
            if let Some(failure) = refusal.filter(|it| it.kind.blame() == Blame::Caller) {
                return Some(failure);
            }
        }
        None
    }

    /// The failure of the first message whose end is past, where that refuses a request.
    fn past_its_end(&self, lines: &[Box<Line>], door: Door) -> Option<Failure> {
        if !door.refused_at_once.contains(&ErrorKind::Expired) {
            return None;
        }
        lines.iter().find_map(|line| self.check_expiry(&line.head.options).err())
    }

    /// Looks up the people that messages are for; those named by number at once for each sender.
    async fn look_up_people(&self, lines: &mut Lines, door: Door) -> Result<(), Failure> {
        for same in lines.chunk_by_mut(|one, next| Arc::ptr_eq(&one.acting, &next.acting)) {
            let acting = Arc::clone(&same[0].acting);
            let phones = same.iter().filter_map(|line| line.head.phone().cloned()).collect();
            let found = self.store().recipients_by_phone(&acting.org.id, phones, &acting.number.id);
            let mut found = found.await?.into_iter();
            for line in same {
                if line.head.phone().is_some() {
                    line.head.recipient = found.next();
                } else if !line.draft.is_doomed {
                    match self.addressee(&acting, &line.head.addressee).await {
                        Ok(recipient) => line.head.recipient = Some(recipient),
                        Err(failure) => line.head.failure = Some(door.let_in(failure)?),
                    }
                }
            }
        }
        Ok(())
    }

    async fn compose(
        &self,
        ask: &Ask<()>,
        lines: Lines,
        door: Door,
    ) -> Result<Vec<(Message, Start)>, Failure> {
        let mut composed = Vec::with_capacity(lines.len());
        let mut lines = lines.into_iter().peekable();
        while let Some(line) = lines.next() {
            let others: Vec<Head> = std::iter::from_fn(|| {
                lines.next_if(|next| line.is_like(next)).map(|next| next.head)
            })
            .collect();
            let Line { acting, draft, head } = *line;
            let (content, failure) = self.settle_draft(&acting, draft, door).await?;
            for head in std::iter::once(head).chain(others) {
                let (head, passage) =
                    self.weigh(&acting, head, &content, failure.as_ref(), door)?;
                composed.push(self.message_of(ask, &acting, head, content.clone(), passage));
            }
        }
        Ok(composed)
    }

    /// What messages will say, once it is checked and its files are kept. What fails here is kept
    /// as far as it goes, for the log.
    async fn settle_draft(
        &self,
        acting: &Acting,
        draft: Draft,
        door: Door,
    ) -> Result<(Content, Option<Failure>), Failure> {
        let door = door.of(&draft);
        let Draft { mut content, binding, ignores_org_language, is_doomed, .. } = draft;
        if is_doomed {
            return Ok((unkept(content), None));
        }
        let language = acting.default_language(ignores_org_language);
        let checked = self.check_content(acting, &mut content, binding.as_ref(), language).await;
        if let Err(failure) = checked {
            return Ok((unkept(content), Some(door.let_in(failure)?)));
        }
        if content.media().is_empty() {
            return Ok((unkept(content), None));
        }
        match self.keep_media(acting, content.clone()).await {
            Ok(kept) => Ok((kept, None)),
            Err(failure) => Ok((unkept(content), Some(door.let_in(failure)?))),
        }
    }

    /// Finds the first reason why a message fails, if there is any, and else how it goes on.
    fn weigh(
        &self,
        acting: &Acting,
        mut head: Head,
        content: &Content,
        failure: Option<&Failure>,
        door: Door,
    ) -> Result<(Head, Passage), Failure> {
        let mut passage = Passage::Free;
        head.failure = head.failure.or_else(|| failure.cloned());
        if let (None, Some(recipient)) = (&head.failure, &head.recipient) {
            let checked = self
                .check_expiry(&head.options)
                .and_then(|()| self.check_consent(&acting.org, recipient))
                .and_then(|()| {
                    self.passage(acting, recipient, content, &head.options, Patience::Some)
                });
            match checked {
                Ok(found) => passage = found,
                Err(failure) => head.failure = Some(door.let_in(failure)?),
            }
        }
        Ok((head, passage))
    }

    fn message_of(
        &self,
        ask: &Ask<()>,
        acting: &Acting,
        head: Head,
        content: Content,
        passage: Passage,
    ) -> (Message, Start) {
        let (content, holding) = match passage {
            Passage::Free => (content, None),
            Passage::Held(holding) => (content, Some(holding)),
            // It has no file.
            Passage::Replaced(template) => (unkept(Content::Template(template)), None),
        };
        let phone = match (&head.recipient, head.addressee) {
            (Some(recipient), _) => recipient.phone.clone(),
            (None, Addressee::Phone(phone)) => phone,
            (None, Addressee::Customer(_) | Addressee::Nobody) => Phone::nobody(),
        };
        let customer = head.recipient.and_then(|recipient| recipient.customer);
        let mut message = Message {
            customer_id: customer.map(|customer| customer.id),
            user_id: head.user_id,
            session_id: head.session_id,
            reference: head.reference,
            options: head.options,
            ..self.fresh_message(ask, acting, phone, content)
        };
        options::limit_life(&mut message);
        self.settle_unknown_policy(acting, &mut message);
        self.judge_notify(&mut message.options);
        let start = match head.failure {
            None => self.start_of(ask, acting, &message, holding),
            Some(failure) => {
                message.status = Status::Failed;
                message.failure = Some(failure);
                message.settled_at = Some(message.created_at);
                Start::Closed { place: self.place(acting, &message) }
            }
        };
        (message, start)
    }
}

impl Line {
    fn new(
        acting: Arc<Acting>,
        send: SendMessage,
        doomed: Option<Failure>,
        tells_all_later: bool,
    ) -> Self {
        let SendMessage { recipient, user_id, session_id, reference, options, .. } = send;
        let draft = Draft {
            content: send.content,
            binding: send.binding,
            ignores_org_language: send.ignores_org_language,
            is_doomed: doomed.is_some(),
            tells_all_later,
        };
        let head = Head {
            addressee: recipient,
            recipient: None,
            user_id,
            session_id,
            reference,
            options,
            failure: doomed,
        };
        Self { acting, draft, head }
    }

    /// Whether another says the same for the same sender.
    fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.acting, &other.acting) && self.draft == other.draft
    }
}

impl Head {
    fn phone(&self) -> Option<&Phone> {
        match &self.addressee {
            Addressee::Phone(phone) => Some(phone),
            Addressee::Customer(_) | Addressee::Nobody => None,
        }
    }
}

/// How a request names who sends.
struct Sender {
    user_id: Option<UserId>,
    number: Option<String>,
    number_or_default: bool,
}

impl Sender {
    fn of(send: &SendMessage) -> Self {
        let (user_id, number) = (send.user_id.clone(), send.number.clone());
        Self { user_id, number, number_or_default: send.number_or_default }
    }

    fn is_of(&self, send: &SendMessage) -> bool {
        self.number == send.number
            && self.user_id == send.user_id
            && self.number_or_default == send.number_or_default
    }
}

/// The content of a message that will not be sent, or that names no file. A file that came inside
/// the request is dropped.
fn unkept(content: Content<MediaDraft>) -> Content {
    content.with_media(|draft| match draft.source {
        MediaSource::Id(id) | MediaSource::IdOfItsKind(id) => MediaRef::Stored(id),
        MediaSource::Link { url, .. } => MediaRef::Link(url),
        MediaSource::Inline(_) => MediaRef::Link(String::new()),
    })
}

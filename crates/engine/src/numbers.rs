//! Sender numbers: adding them, and speaking to the upstream in their name.

use waypost_domain::directory::Number;
use waypost_domain::place::Place;
use waypost_domain::{ErrorKind, Failure, NumberId};

use crate::Engine;
use crate::ports::{Account, CallError, CreationClaim, Entry, NumberInfo, PutMode, StoreError};
use crate::templates::call_failure;

/// A template that is asked for to see whether an account answers.
const ANY_TEMPLATE: &str = "hello_world";

impl Engine {
    /// By which account calls for a number are made: with its own token, else the
    /// installation's.
    ///
    /// # Errors
    /// [`ErrorKind::UpstreamAuth`] where there is no token, or it cannot be read.
    pub fn account(&self, number: &Number) -> Result<Account, Failure> {
        let access_token = match &number.access_token {
            Some(sealed) => {
                let place = format!("numbers/{}/access_token", number.id);
                self.vault().open(&place, sealed).map_err(|error| {
                    tracing::error!(number = %number.id, %error, "access token");
                    no_token("The number's access token cannot be read.")
                })?
            }
            None => self.settings().default_token.clone().ok_or_else(|| {
                no_token(
                    "There is no upstream access token for this number; an operator must set one.",
                )
            })?,
        };
        Ok(Account {
            phone_number_id: number.phone_number_id.clone(),
            waba_id: number.waba_id.clone(),
            access_token,
        })
    }

    /// Writes a number as it is; its lane is awake when it returns. What is made of a known one is
    /// written by [`Engine::change_number`].
    ///
    /// # Errors
    /// A number with an access token of its own is real, and refused while the upstream is the
    /// sandbox; so is an address for receipts that may not be called; else what the store says.
    pub async fn put_number(&self, number: Number, mode: PutMode) -> Result<(), Failure> {
        let engine = self.clone();
        let put = async move {
            engine.check_number(&number)?;
            engine.directory().put(Entry::Number(number.clone()), mode).await?;
            engine.wake_lane(&number);
            Ok(())
        };
        self.detached(put).await
    }

    /// Writes what `change` makes of a known number: nobody else writes in between. Its lane is awake
    /// when it returns.
    ///
    /// # Errors
    /// What `change` says, and as [`Engine::put_number`].
    pub async fn change_number<E>(
        &self,
        change: impl FnOnce() -> Result<Number, E> + Send + 'static,
    ) -> Result<Number, E>
    where
        E: From<Failure> + From<StoreError> + Send + 'static,
    {
        let (engine, checking) = (self.clone(), self.clone());
        let checked = move || -> Result<Number, E> {
            let number = change()?;
            checking.check_number(&number)?;
            Ok(number)
        };
        let change = async move {
            let number = engine.directory().change(Entry::Number, checked).await?;
            engine.wake_lane(&number);
            Ok(number)
        };
        self.detached(change).await
    }

    /// Adds a number, with the claim of its request's key where it has one; its lane is awake when
    /// it returns.
    ///
    /// # Errors
    /// As [`Engine::put_number`].
    pub async fn create_number<E>(
        &self,
        number: Number,
        claim: Option<CreationClaim>,
    ) -> Result<(), E>
    where
        E: From<Failure> + From<StoreError> + Send + 'static,
    {
        let engine = self.clone();
        let create = async move {
            engine.check_number(&number)?;
            engine.directory().create(Entry::Number(number.clone()), claim).await?;
            engine.wake_lane(&number);
            Ok(())
        };
        self.detached(create).await
    }

    fn check_number(&self, number: &Number) -> Result<(), Failure> {
        if number.access_token.is_some() && !self.settings().live {
            let message = "A number with its own access token is a real one; configure a real \
                           upstream (upstream.base_url or upstream.access_token) before adding it.";
            return Err(Failure::new(ErrorKind::InvalidValue, message).at("access_token"));
        }
        self.check_receipts_address(number)
    }

    fn wake_lane(&self, number: &Number) {
        self.outages().forget(&number.id);
        let lane = self.lane(number);
        lane.guards.set_daily_limit(number.daily_limit);
        lane.queued(Place::FIRST);
    }

    /// A new address for receipts must be one that may be called. An old one stays: the operator
    /// may have narrowed the networks since.
    fn check_receipts_address(&self, number: &Number) -> Result<(), Failure> {
        let known = self.directory().number(&number.id);
        let old = known.and_then(|known| known.default_notify_url.clone());
        match &number.default_notify_url {
            Some(url) if Some(url) != old.as_ref() => {
                let checked = self.callback_addresses().check(url);
                let field = "default_notify_url";
                checked.map_err(|why| Failure::new(ErrorKind::InvalidValue, why).at(field))
            }
            _ => Ok(()),
        }
    }

    /// Registers a number for sending by us, with its two-step PIN. Runs to its end even if the
    /// caller goes away.
    ///
    /// # Errors
    /// What the upstream says.
    pub async fn register_number(&self, id: &NumberId, pin: &str) -> Result<(), Failure> {
        let (engine, id, pin) = (self.clone(), id.clone(), pin.to_owned());
        let register = async move {
            let account = engine.account(&*engine.known_number(&id)?)?;
            engine.upstream().register(&account, &pin).await.map_err(call_failure)?;
            let knowing = engine.clone();
            let registered = move || {
                let number = Number::clone(&*knowing.known_number(&id)?);
                Ok::<_, Failure>(Number { registered: true, ..number })
            };
            engine.change_number(registered).await.map(drop)
        };
        self.detached(register).await
    }

    /// Subscribes our app to the webhooks of a number's business account.
    ///
    /// # Errors
    /// What the upstream says.
    pub async fn subscribe_number(&self, id: &NumberId) -> Result<(), Failure> {
        let account = self.account(&*self.known_number(id)?)?;
        self.upstream().subscribe(&account).await.map_err(call_failure)
    }

    /// What the upstream says of a number: also a check of its token.
    ///
    /// # Errors
    /// What the upstream says.
    pub async fn number_info(&self, id: &NumberId) -> Result<NumberInfo, Failure> {
        let account = self.account(&*self.known_number(id)?)?;
        self.upstream().number_info(&account).await.map_err(call_failure)
    }

    /// Whether a number's own token reaches the number and its business account, as the upstream
    /// says.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidValue`] at `access_token` where it does not, or that the upstream cannot
    /// be asked now.
    pub async fn check_reach(&self, number: &Number) -> Result<(), Failure> {
        self.check_number(number)?;
        let account = self.account(number)?;
        let refused = |error: CallError| {
            let failure = call_failure(error);
            match failure.kind {
                ErrorKind::UpstreamUnavailable | ErrorKind::RateLimited => failure,
                _ => {
                    let why = failure.message;
                    let message = format!("It does not reach this number and account: {why}");
                    Failure::new(ErrorKind::InvalidValue, message).at("access_token")
                }
            }
        };
        self.upstream().number_info(&account).await.map_err(refused)?;
        // The account has no call of its own here; whoever may read a template of it reaches it.
        let read = self.upstream().templates(&account, Some(ANY_TEMPLATE), self.now()).await;
        read.map(drop).map_err(refused)
    }

    fn known_number(&self, id: &NumberId) -> Result<std::sync::Arc<Number>, Failure> {
        self.directory().number(id).ok_or_else(|| {
            Failure::new(ErrorKind::NumberNotFound, format!("There is no number {id}."))
        })
    }
}

fn no_token(message: &str) -> Failure {
    Failure::new(ErrorKind::UpstreamAuth, message)
}

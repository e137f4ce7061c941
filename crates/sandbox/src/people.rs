//! The people on the other side and their chats with the business numbers: who has WhatsApp, who
//! wrote when, which messages a chat shows. It sends nothing.

use std::collections::{HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Messages that a chat shows on the handset.
pub const CHAT_MESSAGES_MAX: usize = 200;
/// People the sandbox can know. Sends to further ones are refused with 131016.
pub const PEOPLE_MAX: usize = 1_000_000;
/// The number of the demo that is not on WhatsApp.
pub const NOT_ON_WHATSAPP: &str = "15550004444";

/// Someone with a phone.
#[derive(Debug)]
pub(crate) struct Person {
    /// Digits; absent for people who are only known by a business-scoped user id.
    pub(crate) phone: Option<Box<str>>,
    /// Business-scoped user id.
    pub(crate) user_id: Option<Box<str>>,
    /// The user id is made from the first phone number; nobody gave it.
    pub(crate) user_id_is_made: bool,
    pub(crate) username: Option<Box<str>>,
    pub(crate) name: Option<Box<str>>,
    /// Seeded, added by hand or having written: always on the handset page.
    pub(crate) known: bool,
    pub(crate) on_whatsapp: bool,
    pub(crate) blocks_business: bool,
    /// Counts changes of the phone or the installation.
    pub(crate) identity: u32,
    /// The hash that a control call gave them, instead of the one made from the count.
    pub(crate) given_hash: Option<Box<str>>,
}

impl Person {
    /// Digits if there are any, else the user id.
    pub(crate) fn address(&self) -> &str {
        self.phone.as_deref().or(self.user_id.as_deref()).unwrap_or("")
    }

    pub(crate) fn profile_name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.address())
    }

    /// The user id as webhooks tell it: one that was made only if `made_too`.
    pub(crate) fn told_user_id(&self, made_too: bool) -> Option<&str> {
        self.user_id.as_deref().filter(|_| made_too || !self.user_id_is_made)
    }

    /// The hash that Meta calls identity key hash.
    pub(crate) fn identity_hash(&self) -> String {
        if let Some(given) = &self.given_hash {
            return given.to_string();
        }
        let digest = Sha256::digest(format!("{}:{}", self.address(), self.identity).as_bytes());
        STANDARD.encode(&digest[..8])
    }
}

/// The business-scoped user id of somebody who was given none; it does not show the number.
fn made_user_id(phone: &str) -> Box<str> {
    let digest = Sha256::digest(format!("business-scoped:{phone}").as_bytes());
    let number = digest[..8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("US.{number:020}").into()
}

/// Everybody, by phone and by user id.
#[derive(Debug, Default)]
pub(crate) struct People {
    list: Vec<Person>,
    by_address: HashMap<Box<str>, u32>,
}

impl People {
    pub(crate) fn find(&self, address: &str) -> Option<u32> {
        self.by_address.get(address).copied()
    }

    /// The person of an address, made when new; `None` when [`PEOPLE_MAX`] is reached.
    pub(crate) fn ensure(&mut self, address: &str) -> Option<u32> {
        if let Some(found) = self.find(address) {
            return Some(found);
        }
        if self.list.len() >= PEOPLE_MAX {
            return None;
        }
        let is_phone = address.bytes().all(|byte| byte.is_ascii_digit());
        let boxed: Box<str> = address.into();
        let index = u32::try_from(self.list.len()).ok()?;
        let user_id = if is_phone { made_user_id(address) } else { boxed.clone() };
        // Whoever has this id already keeps it.
        let is_free = !is_phone || !self.by_address.contains_key(&user_id);
        if is_free {
            self.by_address.insert(user_id.clone(), index);
        }
        self.list.push(Person {
            phone: is_phone.then(|| boxed.clone()),
            user_id: is_free.then_some(user_id),
            user_id_is_made: is_phone,
            username: None,
            name: None,
            known: false,
            on_whatsapp: address != NOT_ON_WHATSAPP,
            blocks_business: false,
            identity: 0,
            given_hash: None,
        });
        self.by_address.insert(boxed, index);
        Some(index)
    }

    /// Gives a person a user id. An earlier one that was given still finds them; a made one is gone.
    pub(crate) fn give_user_id(&mut self, person: u32, user_id: &str) {
        let this = &mut self.list[person as usize];
        let made = this.user_id.take().filter(|_| this.user_id_is_made);
        this.user_id = Some(user_id.into());
        this.user_id_is_made = false;
        if let Some(made) = made
            && self.by_address.get(&made) == Some(&person)
        {
            self.by_address.remove(&made);
        }
        self.by_address.insert(user_id.into(), person);
    }

    /// Whether a user id finds somebody else than the person of this number.
    pub(crate) fn is_anothers(&self, user_id: &str, phone: &str) -> bool {
        self.find(user_id).is_some_and(|holder| self.find(phone) != Some(holder))
    }

    /// Makes a number and a user id those of one person, if both can be: somebody who was known by
    /// the id alone gets a number that nobody has. False when they are two people's.
    pub(crate) fn unite(&mut self, phone: &str, user_id: &str) -> bool {
        let Some(holder) = self.find(user_id).filter(|_| self.is_anothers(user_id, phone)) else {
            return true;
        };
        if self.get(holder).phone.is_some() || self.find(phone).is_some() {
            return false;
        }
        let this = self.get_mut(holder);
        // The phone and what is on it stay the same.
        this.given_hash = Some(this.identity_hash().into());
        this.phone = Some(phone.into());
        self.by_address.insert(phone.into(), holder);
        true
    }

    /// Moves somebody to another number. Whoever was behind it (nobody, as a rule) gets the old one,
    /// which is not on WhatsApp any longer. False when [`PEOPLE_MAX`] is reached.
    pub(crate) fn change_number(&mut self, person: u32, phone: &str) -> bool {
        let Some(other) = self.ensure(phone) else { return false };
        // The phone and what is on it stay the same.
        let hash = self.get(person).identity_hash();
        let old = self.list[person as usize].phone.replace(phone.into());
        if let Some(old) = &old {
            self.by_address.insert(old.clone(), other);
        }
        self.by_address.insert(phone.into(), person);
        let left = self.get_mut(other);
        left.phone = old;
        left.on_whatsapp = false;
        let this = self.get_mut(person);
        this.given_hash = Some(hash.into());
        this.on_whatsapp = true;
        true
    }

    pub(crate) fn get(&self, person: u32) -> &Person {
        &self.list[person as usize]
    }

    pub(crate) fn get_mut(&mut self, person: u32) -> &mut Person {
        &mut self.list[person as usize]
    }

    pub(crate) fn indices(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.list.len()).unwrap_or(u32::MAX)
    }
}

/// What happened between one number and one person.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    /// Free-form messages are delivered before this instant; 0 = never was open.
    pub(crate) window_until_ms: i64,
    /// State of the pair's rate bucket.
    pub(crate) pair_tat_ms: i64,
    /// The newest messages, oldest first.
    pub(crate) shown: VecDeque<u64>,
    /// Delivered messages the person has not seen, at most [`CHAT_MESSAGES_MAX`].
    pub(crate) unread: VecDeque<u64>,
}

impl Chat {
    pub(crate) fn show(&mut self, seq: u64) {
        push_bounded(&mut self.shown, seq);
    }

    pub(crate) fn deliver(&mut self, seq: u64) {
        push_bounded(&mut self.unread, seq);
    }

    pub(crate) fn is_open(&self, now_ms: i64) -> bool {
        now_ms < self.window_until_ms
    }
}

fn push_bounded(list: &mut VecDeque<u64>, seq: u64) {
    if list.len() >= CHAT_MESSAGES_MAX {
        list.pop_front();
    }
    list.push_back(seq);
}

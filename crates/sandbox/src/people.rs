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

    /// The hash that Meta calls identity key hash.
    pub(crate) fn identity_hash(&self) -> String {
        if let Some(given) = &self.given_hash {
            return given.to_string();
        }
        let digest = Sha256::digest(format!("{}:{}", self.address(), self.identity).as_bytes());
        STANDARD.encode(&digest[..8])
    }
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
        self.list.push(Person {
            phone: is_phone.then(|| boxed.clone()),
            user_id: (!is_phone).then(|| boxed.clone()),
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

    /// Lets a person be found under one more address.
    pub(crate) fn alias(&mut self, person: u32, address: &str) {
        self.by_address.insert(address.into(), person);
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
    /// When the person last wrote; 0 = never.
    pub(crate) last_inbound_ms: i64,
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

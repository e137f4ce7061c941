//! What every sequence is furnished with: an organisation, its number and template, and people.

use waypost_domain::directory::{BroadcastAudience, Number, Org};
use waypost_domain::{NumberId, OrgId, Phone, Timestamp, Zone};

use crate::plan::Setup;

/// The template that every sequence has; its one parameter is the label.
pub(crate) const TEMPLATE: &str = "note";

pub(crate) fn org_id() -> OrgId {
    OrgId::new("org-1")
}

/// A person's number.
pub(crate) fn phone(person: u8) -> Phone {
    Phone::parse(&format!("1555000{:04}", 1_111 + u32::from(person))).expect("eleven digits")
}

/// The organisation under a sequence's policies.
pub(crate) fn org(setup: Setup) -> Org {
    Org {
        id: org_id(),
        name: "Org".to_owned(),
        time_zone: Zone::default(),
        default_language: None,
        window_policy: setup.window,
        window_fallback: None,
        unknown_policy: setup.unknown,
        strict_opt_in: false,
        broadcast_audience: BroadcastAudience::All,
        join_code: None,
        wire_offsets: std::collections::BTreeMap::new(),
        message_retention_days: None,
        media_retention_days: 30,
        created_at: Timestamp(0),
    }
}

/// Its number.
pub(crate) fn number() -> Number {
    Number {
        id: NumberId::new("number-1"),
        org_id: org_id(),
        display_phone: Phone::parse("15550009999").expect("eleven digits"),
        phone_number_id: "100000000000001".to_owned(),
        waba_id: "100000000000002".to_owned(),
        access_token: None,
        app_secret: None,
        throughput_per_s: 80,
        daily_limit: None,
        app_id: None,
        source_id: None,
        aliases: Vec::new(),
        default_notify_url: None,
        notify_auth: std::collections::BTreeMap::new(),
        errors_as_200: false,
        shared: false,
        registered: true,
        // Added long ago: a window without history counts as closed.
        created_at: Timestamp(0),
    }
}

//! The demo organisation: made on an empty data folder, its windows renewed at each start. It uses
//! the directory like any client; the gateway knows nothing of it.

use anyhow::Context as _;
use waypost_domain::command::MessageType;
use waypost_domain::customer::{Consent, ConsentOrigin, Customer};
use waypost_domain::directory::{
    ApiKey, BroadcastAudience, Number, Org, Scope, UnknownPolicy, User,
    default_media_retention_days, default_throughput,
};
use waypost_domain::window::WindowPolicy;
use waypost_domain::{ApiKeyId, CustomerId, NumberId, OrgId, Phone, Timestamp, UserId, Zone};
use waypost_engine::ports::{CustomerToImport, Entry, PutMode, Stated};
use waypost_engine::{Engine, keys};
use waypost_sandbox::Seed;

use super::Urls;
use super::secrets::Secrets;
use crate::data_dir::{DEMO_ENV, DataDir, Variables};

const ORG: &str = "demo-org";
const USER: &str = "demo-user";
const APP_ID: &str = "a_100000000000009";
const SOURCE_ID: &str = "demo-source";
const JOIN_CODE: &str = "demo";
/// A picture to send, written beside `demo.env`.
pub(super) const PICTURE: &str = "demo.png";
const PICTURE_BYTES: &[u8] = include_bytes!("../../assets/demo.png");

/// Makes the demo organisation where it does not exist, and writes `demo.env` for this start.
/// Returns its variables.
pub(super) async fn keep_up(
    engine: &Engine,
    folder: &DataDir,
    secrets: &Secrets,
    urls: &Urls,
) -> anyhow::Result<Variables> {
    let seed = Seed::demo();
    let number = seed.numbers.first().context("the demo has a number")?;
    let org_id = OrgId::new(ORG);
    let written = folder.read_variables(DEMO_ENV)?.unwrap_or_default();
    let api_key = match written.get("WAYPOST_API_KEY") {
        Some(key) if engine.keys().recognise(key).is_ok() => key.clone(),
        _ => {
            make(engine, &seed).await?;
            make_key(engine, &org_id).await?
        }
    };
    renew_windows(engine, &seed).await?;
    let first = seed.people.first().context("the demo has people")?;
    let mut variables: Vec<(&str, &str)> = vec![("WAYPOST_URL", &urls.gateway)];
    if let Some(sandbox) = &urls.sandbox {
        variables.push(("SANDBOX_URL", sandbox));
    }
    if let Some(admin_key) = &secrets.admin_key {
        variables.push(("WAYPOST_ADMIN_KEY", admin_key));
    }
    let customer_id = customer_id(&first.name);
    variables.extend([
        ("WAYPOST_API_KEY", api_key.as_str()),
        ("WAYPOST_ORG_ID", ORG),
        ("WAYPOST_USER_ID", USER),
        ("WAYPOST_CUSTOMER_ID", customer_id.as_str()),
        ("WAYPOST_CUSTOMER_PHONE", first.phone.as_str()),
        ("WAYPOST_SENDER_PHONE", number.display_phone_number.as_str()),
        ("WAYPOST_PHONE_NUMBER_ID", number.phone_number_id.as_str()),
        ("WAYPOST_APP_ID", APP_ID),
        ("WAYPOST_SOURCE_ID", SOURCE_ID),
        ("WAYPOST_JOIN_CODE", JOIN_CODE),
        ("WAYPOST_WEBHOOK_VERIFY_TOKEN", secrets.verify_token.as_str()),
        ("WAYPOST_WEBHOOK_APP_SECRET", secrets.app_secret.as_str()),
    ]);
    folder.write_variables(DEMO_ENV, "The demo organisation, for the shell.", &variables)?;
    std::fs::write(folder.path().join(PICTURE), PICTURE_BYTES)
        .with_context(|| format!("cannot write {PICTURE}"))?;
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Ok(variables.into_iter().map(owned).collect())
}

fn customer_id(name: &str) -> String {
    format!("demo-{}", name.to_lowercase())
}

async fn make(engine: &Engine, seed: &Seed) -> anyhow::Result<()> {
    let now = engine.now();
    let org_id = OrgId::new(ORG);
    if engine.directory().org(&org_id).is_none() {
        engine.directory().put(Entry::Org(org(now)), PutMode::Create).await?;
        let user = User {
            org_id: org_id.clone(),
            id: UserId::new(USER),
            name: Some("Demo".to_owned()),
            created_at: now,
        };
        engine.directory().put(Entry::User(user), PutMode::Create).await?;
    }
    for seeded in &seed.numbers {
        let id = NumberId::new(seeded.phone_number_id.as_str());
        if engine.directory().number(&id).is_some() {
            continue;
        }
        let number = Number {
            id,
            org_id: org_id.clone(),
            display_phone: Phone::parse(&seeded.display_phone_number)?,
            phone_number_id: seeded.phone_number_id.clone(),
            waba_id: seeded.waba_id.clone(),
            access_token: None,
            app_secret: None,
            throughput_per_s: default_throughput(),
            daily_limit: None,
            app_id: Some(APP_ID.to_owned()),
            source_id: Some(SOURCE_ID.to_owned()),
            aliases: Vec::new(),
            default_notify_url: None,
            notify_auth: std::collections::BTreeMap::new(),
            errors_as_200: false,
            shared: true,
            registered: true,
            created_at: now,
        };
        engine.put_number(number, PutMode::Create).await?;
    }
    let mut customers = Vec::new();
    for (place, person) in (0_i64..).zip(&seed.people) {
        let customer = Customer {
            org_id: org_id.clone(),
            id: CustomerId::new(customer_id(&person.name)),
            phone: Phone::parse(&person.phone)?,
            name: Some(person.name.clone()),
            tags: vec!["demo".to_owned()],
            consent: Some(Consent {
                opted_in: true,
                at: now,
                proof: Some("demo".to_owned()),
                origin: ConsentOrigin::default(),
            }),
            active: true,
            created_at: now.plus_ms(place),
            last_inbound_at: None,
        };
        customers.push(CustomerToImport { customer, id_given: true, stated: Stated::ALL });
    }
    engine.store().import_customers(customers).await?;
    Ok(())
}

fn org(now: Timestamp) -> Org {
    Org {
        id: OrgId::new(ORG),
        name: "Waypost Demo".to_owned(),
        time_zone: Zone::default(),
        default_language: Some("en_US".to_owned()),
        window_policy: WindowPolicy::Refuse,
        window_fallback: None,
        unknown_policy: UnknownPolicy::default(),
        strict_opt_in: false,
        broadcast_audience: BroadcastAudience::All,
        join_code: Some(JOIN_CODE.to_owned()),
        wire_offsets: std::collections::BTreeMap::new(),
        message_retention_days: None,
        media_retention_days: default_media_retention_days(),
        created_at: now,
    }
}

async fn make_key(engine: &Engine, org_id: &OrgId) -> anyhow::Result<String> {
    let key = keys::generate(false);
    let entry = ApiKey {
        id: ApiKeyId::new(key.id),
        org_id: Some(org_id.clone()),
        name: Some("demo".to_owned()),
        secret_sha256: keys::hash_secret(&key.text),
        scopes: Scope::ALL.to_vec(),
        sends_as: MessageType::Human,
        rate_limit_per_s: None,
        allowed_ips: Vec::new(),
        disabled: false,
        jwt: None,
        expires_at: None,
        revoked_at: None,
        created_at: engine.now(),
    };
    engine.directory().put(Entry::ApiKey(entry), PutMode::Create).await?;
    Ok(key.text)
}

/// As if the four had just written: free-form messages reach them for another 24 hours.
async fn renew_windows(engine: &Engine, seed: &Seed) -> anyhow::Result<()> {
    let org_id = OrgId::new(ORG);
    for seeded in &seed.numbers {
        let number_id = NumberId::new(seeded.phone_number_id.as_str());
        for person in &seed.people {
            let phone = Phone::parse(&person.phone)?;
            engine.store().renew_window(&org_id, &number_id, &phone, engine.now()).await?;
        }
    }
    Ok(())
}

//! Customers: the people an organisation writes to.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waypost_domain::customer::{Consent, ConsentOrigin, Customer};
use waypost_domain::{CustomerId, OrgId, Phone, Timestamp};
use waypost_engine::ports::CustomerFilter;

use super::access::{Customers, Ids, InOrg};
use super::fields::{MAX_NAME_CHARS, check_id, check_optional_text, check_text, fresh_id, keep_id};
use super::idempotency::{Creation, created, replayed};
use super::input::{Arguments, JsonObject};
use super::paging::{List, PageArguments};
use super::views::CustomerView;
use crate::App;
use crate::problem::{Faults, Problem};

/// The path on which one is made: the scope of idempotency keys.
const CREATE: &str = "/waypost/v1/orgs/{org_id}/customers";
/// The most labels of a customer.
const MAX_TAGS: usize = 64;
/// The longest label, in characters.
const MAX_TAG_CHARS: usize = 64;
/// The longest proof of consent, in characters.
const MAX_PROOF_CHARS: usize = 1_000;
/// How often a change is tried whose customer others change at the same time.
const MAX_TRIES: u32 = 16;

/// A customer to be registered.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomerInput {
    /// Yours to choose; otherwise one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// With country code; blanks, dots, hyphens, parentheses and + are fine.
    #[schema(example = "+1 555 000 1111")]
    pub(crate) phone: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<Vec<String>>,
    /// Whether the person agreed to be written to; absent: not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) opt_in: Option<bool>,
    /// When that was said, in RFC 3339; by default now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub(crate) opt_in_at: Option<String>,
    /// How it is known: a form's address, a recording's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) opt_in_proof: Option<String>,
    /// Whether the person belongs to broadcasts and can be written to; by default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) active: Option<bool>,
}

impl From<&Customer> for CustomerInput {
    fn from(customer: &Customer) -> Self {
        let consent = customer.consent.as_ref();
        Self {
            id: Some(customer.id.to_string()),
            phone: customer.phone.digits().to_owned(),
            name: customer.name.clone(),
            tags: Some(customer.tags.clone()),
            opt_in: consent.map(|consent| consent.opted_in),
            opt_in_at: consent.map(|consent| super::views::time(consent.at)),
            opt_in_proof: consent.and_then(|consent| consent.proof.clone()),
            active: Some(customer.active),
        }
    }
}

impl CustomerInput {
    /// A customer made of it, with this id or the one it names.
    ///
    /// # Errors
    /// A 400 with every fault.
    pub(crate) fn build(
        self,
        org_id: &OrgId,
        new_id: impl FnOnce() -> String,
        now: Timestamp,
    ) -> Result<Customer, Problem> {
        let mut faults = Faults::default();
        check_id(&mut faults, self.id.as_deref());
        let phone = faults.take("phone", Phone::parse(&self.phone));
        check_optional_text(&mut faults, "name", self.name.as_deref(), MAX_NAME_CHARS);
        self.check_tags(&mut faults);
        let consent = self.consent(&mut faults, now);
        let Some(phone) = phone else { return Err(faults.into_problem()) };
        faults.check()?;
        Ok(Customer {
            org_id: org_id.clone(),
            id: CustomerId::new(self.id.unwrap_or_else(new_id)),
            phone,
            name: self.name,
            tags: self.tags.unwrap_or_default(),
            consent,
            active: self.active.unwrap_or(true),
            created_at: now,
            last_inbound_at: None,
        })
    }

    fn check_tags(&self, faults: &mut Faults) {
        let tags = self.tags.as_deref().unwrap_or_default();
        if tags.len() > MAX_TAGS {
            faults.add("tags", format!("may have at most {MAX_TAGS} entries"));
        }
        for (place, tag) in tags.iter().enumerate() {
            check_text(faults, &format!("tags[{place}]"), tag, MAX_TAG_CHARS);
        }
    }

    fn consent(&self, faults: &mut Faults, now: Timestamp) -> Option<Consent> {
        let proof = self.opt_in_proof.as_deref();
        check_optional_text(faults, "opt_in_proof", proof, MAX_PROOF_CHARS);
        let at = match self.opt_in_at.as_deref() {
            None => now,
            Some(text) => Timestamp::parse_rfc3339(text).unwrap_or_else(|| {
                faults.add("opt_in_at", "must be an instant such as 2026-01-31T00:00:00Z");
                now
            }),
        };
        if self.opt_in.is_none() && (self.opt_in_at.is_some() || proof.is_some()) {
            faults.add("opt_in", "is required where its time or proof is given");
        }
        let opted_in = self.opt_in?;
        Some(Consent {
            opted_in,
            at,
            proof: self.opt_in_proof.clone(),
            origin: ConsentOrigin::default(),
        })
    }
}

/// Registers a customer.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/customers", tag = "customers",
    request_body = CustomerInput, responses((status = 201, body = CustomerView)))]
pub(crate) async fn create_customer(
    State(app): State<App>,
    within: InOrg<Customers>,
    mut body: JsonObject,
) -> Result<Response, Problem> {
    let idempotency = body.idempotency.take();
    let input: CustomerInput = body.read()?;
    let org_id = within.org_id();
    let customer = input.build(org_id, fresh_id, app.engine.now())?;
    let creation = Creation::begin(&app, Some(org_id), CREATE, idempotency).await?;
    let store = app.engine.store();
    if let Some(id) = creation.earlier()
        && let Some(found) = store.customer(org_id, &CustomerId::new(id)).await?
    {
        return Ok(replayed(&CustomerView::from(found)));
    }
    app.engine.create_customer(customer.clone(), creation.claim()).await?;
    Ok(created(&as_stored(&app, customer).await?))
}

/// With an opt-out that was recorded for the number before.
async fn as_stored(app: &App, written: Customer) -> Result<CustomerView, Problem> {
    let stored = app.engine.store().customer(&written.org_id, &written.id).await?;
    Ok(stored.unwrap_or(written).into())
}

/// Which customers.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CustomerArguments {
    /// How many entries at most, 1 to 1000; by default 50. Large ones are fewer: go on with `next`.
    limit: Option<u32>,
    /// `next` of the part before.
    after: Option<String>,
    /// Only the one with this number.
    phone: Option<String>,
    /// Only those with this label.
    tag: Option<String>,
    /// Only active or only inactive ones.
    active: Option<bool>,
}

/// Lists customers in the order of registration.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/customers", tag = "customers",
    params(CustomerArguments), responses((status = 200, body = List<CustomerView>)))]
pub(crate) async fn list_customers(
    State(app): State<App>,
    within: InOrg<Customers>,
    Arguments(arguments): Arguments<CustomerArguments>,
) -> Result<Json<List<CustomerView>>, Problem> {
    let page = PageArguments { limit: arguments.limit, after: arguments.after }.of_store()?;
    let phone = arguments.phone.as_deref().map(Phone::parse).transpose();
    let phone = phone.map_err(|error| Problem::invalid("phone", error.to_string()))?;
    let filter = CustomerFilter { phone, tag: arguments.tag, active: arguments.active };
    let paged = app.engine.store().customers(within.org_id(), &filter, page).await?;
    Ok(Json(List::of(paged, CustomerView::from)))
}

async fn known_customer(app: &App, org_id: &OrgId, id: &str) -> Result<Customer, Problem> {
    let found = app.engine.store().customer(org_id, &CustomerId::new(id)).await?;
    found.ok_or_else(Problem::not_found)
}

/// Shows a customer.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/customers/{customer_id}",
    tag = "customers", responses((status = 200, body = CustomerView)))]
pub(crate) async fn get_customer(
    State(app): State<App>,
    within: InOrg<Customers>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<CustomerView>, Problem> {
    Ok(Json(known_customer(&app, within.org_id(), &id).await?.into()))
}

/// Changes a customer: what the body does not name stays, `null` clears.
#[utoipa::path(patch, path = "/waypost/v1/orgs/{org_id}/customers/{customer_id}",
    tag = "customers", request_body = ref("#/components/schemas/CustomerPatch"),
    responses((status = 200, body = CustomerView)))]
pub(crate) async fn update_customer(
    State(app): State<App>,
    within: InOrg<Customers>,
    Ids((_, id)): Ids<(String, String)>,
    body: JsonObject,
) -> Result<Json<CustomerView>, Problem> {
    for _ in 0..MAX_TRIES {
        let known = known_customer(&app, within.org_id(), &id).await?;
        let changed = changed_customer(&known, body.clone(), app.engine.now())?;
        if app.engine.update_customer(&known, changed.clone()).await? {
            return Ok(Json(as_stored(&app, changed).await?));
        }
    }
    Err(Problem::unavailable("Others keep changing this customer; try again."))
}

fn changed_customer(
    known: &Customer,
    body: JsonObject,
    now: Timestamp,
) -> Result<Customer, Problem> {
    let named = |name: &str| body.members.contains_key(name);
    let changes_consent = ["opt_in", "opt_in_at", "opt_in_proof"].into_iter().any(named);
    let mut current = CustomerInput::from(known);
    if named("opt_in") {
        // Another answer has its own time and proof.
        current.opt_in_at = None;
        current.opt_in_proof = None;
    }
    let input = body.merged_into(&current)?;
    keep_id(known.id.as_str(), input.id.as_deref())?;
    let built = input.build(&known.org_id, || known.id.to_string(), now)?;
    let consent = if changes_consent { built.consent } else { known.consent.clone() };
    Ok(Customer {
        consent,
        created_at: known.created_at,
        last_inbound_at: known.last_inbound_at,
        ..built
    })
}

/// Removes a customer; its messages stay in the log, and an opt-out still blocks its number.
#[utoipa::path(delete, path = "/waypost/v1/orgs/{org_id}/customers/{customer_id}",
    tag = "customers", responses((status = 204)))]
pub(crate) async fn delete_customer(
    State(app): State<App>,
    within: InOrg<Customers>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<StatusCode, Problem> {
    if app.engine.store().delete_customer(within.org_id(), &CustomerId::new(id)).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn input(phone: &str) -> CustomerInput {
        CustomerInput { phone: phone.to_owned(), ..CustomerInput::default() }
    }

    fn build(input: CustomerInput) -> Result<Customer, Problem> {
        input.build(&OrgId::new("org-1"), || "c-1".to_owned(), Timestamp(7))
    }

    #[test]
    fn a_customer_needs_no_more_than_a_number() {
        let customer = build(input("+1 (555) 000-1111")).unwrap();
        assert_eq!(customer.phone.digits(), "15550001111");
        assert_eq!((customer.id.as_str(), customer.active), ("c-1", true));
        assert_eq!(customer.consent, None);
    }

    #[test]
    fn consent_has_a_time_and_may_have_a_proof() {
        let proof = Some("form 7".to_owned());
        let yes = CustomerInput {
            opt_in: Some(true),
            opt_in_proof: proof.clone(),
            ..input("15550001111")
        };
        let consent = build(yes).unwrap().consent.unwrap();
        assert_eq!(
            consent,
            Consent {
                opted_in: true,
                at: Timestamp(7),
                proof: proof.clone(),
                origin: ConsentOrigin::default(),
            }
        );
        let unsaid = CustomerInput { opt_in_proof: proof, ..input("15550001111") };
        assert_eq!(build(unsaid).unwrap_err().errors()[0].field, "opt_in");
    }

    #[test]
    fn a_change_of_something_else_keeps_where_a_consent_came_from() {
        let origin = ConsentOrigin { source: Some("WEB".to_owned()), ..ConsentOrigin::default() };
        let consent = Some(Consent { opted_in: true, at: Timestamp(7), proof: None, origin });
        let known = Customer { consent, ..build(input("15550001111")).unwrap() };
        for (change, kept) in [
            (json!({"name": "Gina"}), true),
            (json!({"opt_in_proof": "form 7"}), false),
            (json!({"opt_in": true}), false),
        ] {
            let Value::Object(members) = change else { panic!("an object") };
            let body = JsonObject { members, idempotency: None };
            let changed = changed_customer(&known, body, Timestamp(9)).unwrap();
            assert_eq!(changed.consent == known.consent, kept, "{changed:?}");
        }
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let bad = CustomerInput {
            id: Some("a/b".to_owned()),
            tags: Some(vec!["ok".to_owned(), " ".to_owned()]),
            opt_in: Some(true),
            opt_in_at: Some("yesterday".to_owned()),
            ..input("123")
        };
        let problem = build(bad).unwrap_err();
        let fields: Vec<&str> = problem.errors().iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["id", "phone", "tags[1]", "opt_in_at"]);
    }
}

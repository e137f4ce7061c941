//! Which of Meta's numbers and business accounts an organisation's own key may give to a number. The
//! installation's token reaches those of every tenant, so what is reached with it is for the
//! installation's key to say. Who brings a token is asked to show by it what it reaches.

use http::StatusCode;
use waypost_domain::directory::{ApiKey, Number, Sealed};

use super::access::for_the_installation;
use crate::App;
use crate::problem::Problem;

/// Refuses what the key may not make of a number: `old` is what it was before, if it was.
///
/// # Errors
/// A 403 for what only the installation's key may do, a 409 at `waba_id`, or what the upstream says
/// of the number's token.
pub(super) async fn check_assets(
    app: &App,
    key: &ApiKey,
    old: Option<&Number>,
    new: &Number,
) -> Result<(), Problem> {
    if key.org_id.is_none() {
        return Ok(());
    }
    // What people write to a shared number is heard by whoever has a join code.
    if new.shared != old.is_some_and(|old| old.shared) {
        return Err(for_the_installation("set shared"));
    }
    // What it signs is believed, of the number and of templates in its whole business account.
    if new.app_secret.is_some() && old.is_none_or(|old| old.app_secret != new.app_secret) {
        return Err(for_the_installation("set app_secret"));
    }
    let same =
        old.filter(|old| old.phone_number_id == new.phone_number_id && old.waba_id == new.waba_id);
    if new.access_token.is_none() {
        return match same {
            Some(old) if old.access_token.is_none() => Ok(()),
            _ => Err(for_the_installation(
                "set phone_number_id and waba_id of a number without an access_token of its own",
            )),
        };
    }
    if same.is_some() {
        return Ok(());
    }
    app.engine.check_reach(new).await?;
    // Last: whose an account is learns only who reaches it.
    let mut numbers = app.engine.directory().all_numbers().into_iter();
    if numbers.any(|other| other.waba_id == new.waba_id && other.org_id != new.org_id) {
        let detail = "Another organisation has this business account.";
        return Err(Problem::new(StatusCode::CONFLICT, "conflict", detail)
            .blaming("waba_id", "is shared by organisations only with the installation's key"));
    }
    Ok(())
}

/// What is judged of a number.
pub(super) fn assets(number: &Number) -> (&str, &str, Option<&Sealed>, Option<&Sealed>, bool) {
    let Number { phone_number_id, waba_id, access_token, app_secret, shared, .. } = number;
    (phone_number_id, waba_id, access_token.as_ref(), app_secret.as_ref(), *shared)
}

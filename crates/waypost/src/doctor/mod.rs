//! `waypost doctor`: looks at an installation from outside and says what to do. It changes nothing
//! and sends no message.

mod finding;
mod machine;
mod network;
#[cfg(test)]
mod tests;

use crate::config::{self, Faults, Inputs, Loaded, Purpose};
use finding::{Finding, Grade};

/// Looks at everything and tells it; `true` where nothing is broken.
pub(crate) async fn run(inputs: &Inputs, as_json: bool) -> anyhow::Result<bool> {
    let findings = examine(inputs).await?;
    finding::tell(&findings, as_json);
    Ok(findings.iter().all(|finding| finding.result != Grade::Fail))
}

async fn examine(inputs: &Inputs) -> anyhow::Result<Vec<Finding>> {
    let read = config::load(inputs, Purpose::Gateway);
    let mut findings = configuration(&read);
    // What is readable is looked at even where a rule is broken.
    let usable = match read {
        Ok(loaded) => Some(loaded.config),
        Err(_) => config::load(inputs, Purpose::Client).ok().map(|loaded| loaded.config),
    };
    if let Some(config) = usable {
        findings.extend(machine::examine(&config));
        findings.extend(network::examine(&config).await?);
    }
    Ok(findings)
}

fn configuration(read: &Result<Loaded, Faults>) -> Vec<Finding> {
    const CHECK: &str = "configuration";
    let (faults, warnings) = match read {
        Ok(loaded) => (Vec::new(), &loaded.warnings),
        Err(found) => (found.faults.iter().map(ToString::to_string).collect(), &found.warnings),
    };
    let remedy = "see waypost config defaults, and waypost config check";
    let mut findings: Vec<_> =
        faults.into_iter().map(|fault: String| Finding::fail(CHECK, fault, remedy)).collect();
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "in order"));
    }
    findings.extend(warnings.iter().map(|warning| {
        Finding::warn(CHECK, warning.clone(), "change it, or leave it if it is meant")
    }));
    findings
}

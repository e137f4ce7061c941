//! Structured logs on standard error: for reading on a terminal, as JSON otherwise. What is logged,
//! and that no secret is, is decided where it is logged.

mod buffer;
mod json_lines;

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

use self::buffer::LogBuffer;
use self::json_lines::JsonLines;

/// What is logged when neither variable says otherwise.
const DEFAULT_LEVEL: &str = "info";

/// Lines that wait to be written, where they are not for a terminal.
static BUFFER: OnceLock<LogBuffer> = OnceLock::new();

/// Starts logging, at the level of `WAYPOST_LOG`, else of `RUST_LOG`. Returns a warning where the
/// level cannot be read; then it is `info`.
pub(crate) fn init() -> Option<String> {
    let given = ["WAYPOST_LOG", "RUST_LOG"].into_iter().find_map(|name| {
        std::env::var(name).ok().filter(|value| !value.is_empty()).map(|value| (name, value))
    });
    let (filter, warning) = filter(given.as_ref().map(|(name, value)| (*name, value.as_str())));
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    if std::io::stderr().is_terminal() {
        builder.with_writer(std::io::stderr).with_target(false).init();
        return warning;
    }
    let builder = builder.json().event_format(JsonLines::new());
    match LogBuffer::start(std::io::stderr()) {
        Ok(buffer) => {
            let writer = BUFFER.get_or_init(|| buffer);
            builder.with_writer(move || writer.clone()).init();
        }
        // Without a thread, lines are written one by one.
        Err(_) => builder.with_writer(std::io::stderr).init(),
    }
    warning
}

/// Writes out what was logged: at the end, whatever the end is, and before anybody can know of the
/// process by other means.
pub(crate) fn write_out() {
    if let Some(buffer) = BUFFER.get() {
        buffer.write_out();
    }
}

fn filter(given: Option<(&str, &str)>) -> (EnvFilter, Option<String>) {
    let Some((name, value)) = given else { return (EnvFilter::new(DEFAULT_LEVEL), None) };
    match EnvFilter::try_new(value) {
        Ok(filter) => (filter, None),
        Err(error) => {
            let warning = format!(
                "{name}: {error}; logging at {DEFAULT_LEVEL}. Wanted: error, warn, info, debug, \
                 trace, or waypost_engine=debug and the like"
            );
            (EnvFilter::new(DEFAULT_LEVEL), Some(warning))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_level_is_a_warning_and_info_holds() {
        for (given, level, warned) in [
            (None, "info", false),
            (Some(("WAYPOST_LOG", "debug")), "debug", false),
            (Some(("RUST_LOG", "waypost_engine=trace")), "waypost_engine=trace", false),
            (Some(("WAYPOST_LOG", "waypost=loud")), "info", true),
        ] {
            let (filter, warning) = filter(given);
            assert_eq!(filter.to_string(), level);
            assert_eq!(warning.is_some(), warned, "{given:?}");
        }
    }
}

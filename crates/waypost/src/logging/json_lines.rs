//! Log lines as JSON, in the form of `tracing-subscriber`'s own with the fields beside the message.
//! Two lines are written for each message sent, so they are put together by hand; the rare line
//! within a span is left to the library.

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Names that each line has of its own. A field of this name gets an underscore behind it: of two
/// that are the same, readers keep one.
const OWN_NAMES: [&str; 3] = ["timestamp", "level", "target"];
/// Room for a usual line, in bytes.
const LINE_BYTES: usize = 384;

/// Writes lines.
pub(super) struct JsonLines {
    within_spans: Format<Json>,
}

impl JsonLines {
    pub(super) fn new() -> Self {
        let within_spans = Format::default().json().flatten_event(true).with_span_list(false);
        Self { within_spans }
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if context.lookup_current().is_some() {
            return self.within_spans.format_event(context, writer, event);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = String::with_capacity(LINE_BYTES);
        line.push_str("{\"timestamp\":\"");
        push_instant(&mut line, now.as_secs(), now.subsec_micros());
        line.push_str("\",\"level\":\"");
        line.push_str(event.metadata().level().as_str());
        line.push('"');
        event.record(&mut Fields(&mut line));
        line.push_str(",\"target\":\"");
        push_escaped(&mut line, event.metadata().target());
        line.push_str("\"}\n");
        writer.write_str(&line)
    }
}

/// An instant as RFC 3339 in UTC with microseconds.
fn push_instant(line: &mut String, seconds: u64, micros: u32) {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days in eras of 400 years that begin on 1 March: Howard Hinnant's `civil_from_days`.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let micros = u64::from(micros);
    let parts = [
        (year, 4, "-"),
        (month, 2, "-"),
        (day, 2, "T"),
        (hour, 2, ":"),
        (minute, 2, ":"),
        (second, 2, "."),
        (micros, 6, "Z"),
    ];
    for (number, digits, end) in parts {
        push_padded(line, number, digits);
        line.push_str(end);
    }
}

/// The last so many digits of a number: `write!` takes five times as long.
fn push_padded(line: &mut String, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        line.extend(char::from_digit(u32::try_from(digit).unwrap_or(0), 10));
    }
}

/// Fields of an event, each after a comma.
struct Fields<'a>(&'a mut String);

impl Fields<'_> {
    fn push_name(&mut self, field: &Field) {
        self.0.push_str(",\"");
        self.0.push_str(field.name());
        if OWN_NAMES.contains(&field.name()) {
            self.0.push('_');
        }
        self.0.push_str("\":");
    }

    fn push_bare(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.push_name(field);
        // Writing into a text cannot fail.
        let _ = self.0.write_fmt(value);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push_name(field);
        self.0.push('"');
        let _ = write!(Escaped(self.0), "{value:?}");
        self.0.push('"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push_name(field);
        self.0.push('"');
        push_escaped(self.0, value);
        self.0.push('"');
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push_bare(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push_bare(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push_bare(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.push_bare(field, format_args!("{value:?}"));
        } else {
            self.push_bare(field, format_args!("null"));
        }
    }
}

/// Takes text and writes it as the inside of a JSON string.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

fn push_escaped(line: &mut String, text: &str) {
    if !text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        line.push_str(text);
        return;
    }
    for char in text.chars() {
        match char {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\u{8}' => line.push_str("\\b"),
            '\u{C}' => line.push_str("\\f"),
            char if char < ' ' => {
                let _ = write!(line, "\\u{:04x}", u32::from(char));
            }
            char => line.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    fn log_something() {
        tracing::info!(target: "waypost::request", id = "a\"b\\c", status = 200_u16, "request");
        tracing::warn!(shown = %"tab\there", debugged = ?Some("ü\u{1}"), wide = 7_u128, "two\nlines");
        tracing::error!(
            none = Option::<&str>::None,
            yes = true,
            less = -1_i64,
            part = 0.5,
            whole = 2.0
        );
        tracing::info!(nan = f64::NAN);
        let _within = tracing::info_span!("job", number = 1).entered();
        tracing::info!("within a span");
    }

    #[test]
    fn lines_are_those_of_the_library_but_for_the_time() {
        let (own, library) = (Lines::default(), Lines::default());
        let builder = tracing_subscriber::fmt().json().with_writer(own.clone());
        let subscriber = builder.event_format(JsonLines::new()).finish();
        tracing::subscriber::with_default(subscriber, log_something);
        let builder = tracing_subscriber::fmt().json().with_writer(library.clone());
        let subscriber = builder.flatten_event(true).with_span_list(false).finish();
        tracing::subscriber::with_default(subscriber, log_something);
        let texts =
            [own, library].map(|lines| String::from_utf8(lines.0.lock().unwrap().clone()).unwrap());
        let [own, library] = texts.each_ref().map(|text| text.lines().collect::<Vec<_>>());
        assert_eq!(own.len(), 5);
        for (own, library) in own.into_iter().zip(library) {
            let parsed: Value = serde_json::from_str(own).unwrap();
            assert_eq!(parsed["timestamp"].as_str().map(str::len), Some(27), "{own}");
            let after_time = "{\"timestamp\":\"".len() + 27;
            assert_eq!(own[after_time..], library[after_time..]);
        }
    }

    #[test]
    fn no_name_stands_twice_in_a_line() {
        let lines = Lines::default();
        let builder = tracing_subscriber::fmt().json().with_writer(lines.clone());
        let subscriber = builder.event_format(JsonLines::new()).finish();
        tracing::subscriber::with_default(subscriber, || tracing::info!(target = 7, level = 8));
        let line = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(line.matches("\"target\":").count(), 1, "{line}");
        assert!(line.contains(r#""target_":7,"level_":8,"#), "{line}");
    }

    #[test]
    fn instants_are_written_by_the_calendar() {
        for (seconds, micros, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000001Z"),
            (1_709_251_199, 0, "2024-02-29T23:59:59.000000Z"),
            (1_735_689_599, 0, "2024-12-31T23:59:59.000000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        ] {
            let mut line = String::new();
            push_instant(&mut line, seconds, micros);
            assert_eq!(line, expected);
        }
    }
}

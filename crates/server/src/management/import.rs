//! Customers in bulk, as CSV or JSON Lines: read as they come, written 1,000 at a time. What is
//! wrong with a line is told with its number; the other lines are imported.

use std::cell::Cell;
use std::io::{self, BufRead as _, BufReader, Read};
use std::rc::Rc;

use axum::Json;
use axum::extract::{Request, State};
use bytes::{Buf as _, Bytes};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use utoipa::ToSchema;
use waypost_domain::{OrgId, Timestamp};
use waypost_engine::ports::{CustomerToImport, LeftOut, Stated};

use super::access::{Customers, InOrg};
use super::customers::CustomerInput;
use super::fields::fresh_id;
use super::input::read_value;
use super::strict_json::read_json;
use crate::App;
use crate::bodies::BodyReader;
use crate::problem::Problem;

/// The largest import, in bytes.
const MAX_IMPORT_BYTES: u64 = 512 * 1_024 * 1_024;
/// Customers written in one transaction.
const BATCH: usize = 250;
/// The longest line or CSV record, in bytes.
const MAX_RECORD_BYTES: usize = 64 * 1_024;
/// Pieces of the body that wait to be read.
const PIECES_AHEAD: usize = 4;
/// Lines whose faults are listed; more are only counted.
const MAX_LISTED: usize = 1_000;
/// What is said of a line whose bytes are no text.
const NOT_UTF_8: &str = "is not UTF-8";
/// Said of a value that holds a line break.
const OPEN_QUOTE: &str =
    "has a value with a line break; where a quotation mark is not closed, close it: the lines to";
/// The columns that a CSV may have.
const COLUMNS: [&str; 8] =
    ["phone", "name", "id", "tags", "opt_in", "opt_in_at", "opt_in_proof", "active"];

/// What an import did.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ImportReport {
    /// New customers.
    created: u64,
    /// Customers that existed (same id; same number where the line has none) and were brought up
    /// to date.
    updated: u64,
    /// Lines that were not imported.
    failed: u64,
    /// What is wrong with them; the first 1,000.
    errors: Vec<LineFault>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LineFault {
    /// Counted from 1, the CSV's header included.
    line: u64,
    message: String,
}

#[derive(Clone, Copy)]
enum Format {
    Csv,
    JsonLines,
}

impl Format {
    fn of(content_type: Option<&str>) -> Result<Self, Problem> {
        let essence = content_type.and_then(|it| it.split(';').next()).unwrap_or_default();
        match essence.trim().to_ascii_lowercase().as_str() {
            "text/csv" => Ok(Self::Csv),
            "application/x-ndjson" | "application/jsonl" => Ok(Self::JsonLines),
            _ => {
                let detail = "The header Content-Type must say text/csv or application/x-ndjson.";
                let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                Err(Problem::new(status, "unsupported_content_type", detail))
            }
        }
    }
}

/// Imports customers. CSV has a header line with `phone` and any of `name`, `id`, `tags`
/// (separated by `;`), `opt_in`, `opt_in_at`, `opt_in_proof`, `active`; JSON Lines have one
/// customer object a line. A repetition finds again who was imported and adds nobody; what a line
/// says nothing of stays as it was.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/customers/import", tag = "customers",
    request_body(content((String = "text/csv"), (String = "application/x-ndjson"))),
    responses((status = 200, body = ImportReport)))]
pub(crate) async fn import_customers(
    State(app): State<App>,
    within: InOrg<Customers>,
    request: Request,
) -> Result<Json<ImportReport>, Problem> {
    let (parts, body) = request.into_parts();
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let format = Format::of(content_type)?;
    let pace = app.limits.body_pace;
    let mut reader = BodyReader::new(&parts.headers, body, MAX_IMPORT_BYTES, pace)?.hurried();
    let _place = app.import_places.take(Some(within.org_id()))?;
    let (pieces, lines) = mpsc::channel(PIECES_AHEAD);
    let (results, mut batches) = mpsc::channel(1);
    let org_id = within.org_id().clone();
    let now = app.engine.now();
    let parsing = tokio::task::spawn_blocking(move || {
        let importer = Importer { org_id, now, results, batch: Batch::default() };
        importer.run(format, Pieces::new(lines))
    });
    let feeding = async {
        while let Some(piece) = reader.next().await? {
            // Nobody receives once the parser has given up; it says why.
            if pieces.send(piece).await.is_err() {
                break;
            }
        }
        drop(pieces);
        Ok::<(), Problem>(())
    };
    let writing = async {
        let mut report = ImportReport::default();
        while let Some(batch) = batches.recv().await {
            write(&app, within.org_id(), batch, &mut report).await?;
        }
        Ok::<ImportReport, Problem>(report)
    };
    let ((), report) = tokio::try_join!(feeding, writing)?;
    let parsed = parsing.await.map_err(|error| {
        tracing::error!(%error, "an import's parser ended unexpectedly");
        Problem::unavailable("The import could not be read.")
    })?;
    parsed.map(|()| Json(report))
}

async fn write(
    app: &App,
    org_id: &OrgId,
    batch: Batch,
    report: &mut ImportReport,
) -> Result<(), Problem> {
    let Batch { customers, lines, mut faults } = batch;
    if !customers.is_empty() {
        let imported = app.engine.import_customers(org_id, customers).await?;
        report.created += imported.created;
        report.updated += imported.updated;
        let left_out = imported.left_out.iter();
        faults.extend(left_out.map(|left_out| LineFault::taken(&lines, left_out)));
        faults.sort_by_key(|fault| fault.line);
    }
    report.note(&faults);
    Ok(())
}

impl LineFault {
    fn taken(lines: &[u64], left_out: &LeftOut) -> Self {
        let message = format!("phone: belongs to customer {}", left_out.owner);
        Self { line: lines[left_out.place], message }
    }
}

impl ImportReport {
    fn note(&mut self, faults: &[LineFault]) {
        self.failed += faults.len() as u64;
        let room = MAX_LISTED.saturating_sub(self.errors.len());
        self.errors.extend(faults.iter().take(room).cloned());
    }
}

/// Customers to be written together, and lines that cannot be.
#[derive(Default)]
struct Batch {
    customers: Vec<CustomerToImport>,
    /// Where each of these stands.
    lines: Vec<u64>,
    faults: Vec<LineFault>,
}

/// Reads an import on a thread of its own.
struct Importer {
    org_id: OrgId,
    now: Timestamp,
    results: mpsc::Sender<Batch>,
    batch: Batch,
}

impl Importer {
    fn run(mut self, format: Format, pieces: Pieces) -> Result<(), Problem> {
        let held = Rc::clone(&pieces.held);
        match format {
            Format::Csv => self.read_csv(pieces, &held)?,
            Format::JsonLines => self.read_lines(pieces, &held)?,
        }
        self.flush();
        Ok(())
    }

    fn read_csv(&mut self, pieces: Pieces, held: &Cell<usize>) -> Result<(), Problem> {
        let mut reader = reader_of(pieces);
        let header = reader.headers().map_err(|error| {
            let is_io = error.is_io_error();
            unreadable(&if is_io { error.to_string() } else { format!("line 1 {NOT_UTF_8}") })
        })?;
        let columns = columns(header)?;
        let mut record = csv::StringRecord::new();
        loop {
            held.set(0);
            let begins_at = reader.position().line();
            match reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) if error.is_io_error() => {
                    return Err(unreadable(&format!(
                        "line {begins_at}: {error}; close its quotation mark if one is open"
                    )));
                }
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    self.refuse(line, NOT_UTF_8.to_owned());
                    continue;
                }
            }
            if record.iter().all(|value| value.trim().is_empty()) {
                continue;
            }
            let line = record.position().map_or(0, csv::Position::line);
            if record.iter().any(|value| value.trim().contains('\n')) {
                let breaks = record.iter().flat_map(|value| value.trim_end().matches('\n'));
                let last = breaks.fold(line, |last, _| last + 1);
                self.refuse(line, format!("{OPEN_QUOTE} {last} were taken as one"));
                continue;
            }
            match read_record(&columns, &record) {
                Ok(input) => self.take(line, Ok(input)),
                Err(message) => self.refuse(line, message),
            }
        }
    }

    fn read_lines(&mut self, pieces: Pieces, held: &Cell<usize>) -> Result<(), Problem> {
        let mut reader = BufReader::new(pieces);
        let mut line = Vec::new();
        for number in 1.. {
            held.set(0);
            line.clear();
            let read = reader.read_until(b'\n', &mut line);
            let read = read.map_err(|error| unreadable(&format!("line {number}: {error}")))?;
            if read == 0 {
                break;
            }
            let text = line.trim_ascii();
            let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
            if text.is_empty() {
                continue;
            }
            self.take(number, read_object(text));
        }
        Ok(())
    }

    fn take(&mut self, line: u64, input: Result<CustomerInput, Problem>) {
        let built = input.and_then(|input| {
            let (id_given, stated) = (input.id.is_some(), stated(&input));
            let customer = input.build(&self.org_id, fresh_id, self.now)?;
            Ok(CustomerToImport { customer, id_given, stated })
        });
        match built {
            Ok(customer) => {
                self.batch.customers.push(customer);
                self.batch.lines.push(line);
                self.flush_if_full();
            }
            Err(problem) => self.refuse(line, problem.in_one_line()),
        }
    }

    fn refuse(&mut self, line: u64, message: String) {
        self.batch.faults.push(LineFault { line, message });
        self.flush_if_full();
    }

    fn flush_if_full(&mut self) {
        if self.batch.customers.len() + self.batch.faults.len() >= BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        // Nobody receives once the request is over.
        let _ = self.results.blocking_send(std::mem::take(&mut self.batch));
    }
}

/// What a line says something of: an empty cell says nothing.
const fn stated(input: &CustomerInput) -> Stated {
    Stated {
        name: input.name.is_some(),
        tags: input.tags.is_some(),
        active: input.active.is_some(),
    }
}

/// Lines end with a line feed; a carriage return before it is trimmed with the last value. (Told
/// to take both, the reader counts lines one too low.)
fn reader_of(pieces: Pieces) -> csv::Reader<Pieces> {
    let terminator = csv::Terminator::Any(b'\n');
    csv::ReaderBuilder::new().flexible(true).terminator(terminator).from_reader(pieces)
}

fn unreadable(why: &str) -> Problem {
    let detail = format!("The import cannot be read: {why}. Lines before were imported.");
    Problem::new(StatusCode::BAD_REQUEST, "invalid_body", detail)
}

/// A line of JSON Lines.
fn read_object(text: &[u8]) -> Result<CustomerInput, Problem> {
    waypost_dialects::json::parse(text)?;
    match read_json(text)? {
        value @ Value::Object(_) => read_value(value),
        _ => {
            let fault = "must be a JSON object";
            Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_body", fault))
        }
    }
}

/// The column names of a header line.
fn columns(header: &csv::StringRecord) -> Result<Vec<&'static str>, Problem> {
    let mut columns = Vec::new();
    for name in header {
        let name = name.trim().trim_start_matches('\u{FEFF}').to_ascii_lowercase();
        match COLUMNS.into_iter().find(|known| *known == name) {
            Some(known) if !columns.contains(&known) => columns.push(known),
            Some(known) => return Err(Problem::invalid(known, "is there twice")),
            None => {
                let known = COLUMNS.join(", ");
                return Err(Problem::invalid(name, format!("is not a column; there are {known}")));
            }
        }
    }
    if columns.contains(&"phone") {
        return Ok(columns);
    }
    Err(Problem::invalid("phone", "is missing from the header line"))
}

fn read_record(columns: &[&str], record: &csv::StringRecord) -> Result<CustomerInput, String> {
    if record.len() != columns.len() {
        return Err(format!("has {} fields instead of {}", record.len(), columns.len()));
    }
    let mut input = CustomerInput::default();
    for (column, value) in columns.iter().zip(record) {
        let value = value.trim();
        let text = (!value.is_empty()).then(|| value.to_owned());
        match *column {
            "phone" => input.phone = value.to_owned(),
            "name" => input.name = text,
            "id" => input.id = text,
            "tags" => input.tags = text.map(|text| split_tags(&text)),
            "opt_in" => input.opt_in = yes_or_no(column, value)?,
            "opt_in_at" => input.opt_in_at = text,
            "opt_in_proof" => input.opt_in_proof = text,
            _ => input.active = yes_or_no(column, value)?,
        }
    }
    Ok(input)
}

fn split_tags(text: &str) -> Vec<String> {
    text.split(';').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

fn yes_or_no(column: &str, value: &str) -> Result<Option<bool>, String> {
    match value.to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "true" | "yes" | "1" => Ok(Some(true)),
        "false" | "no" | "0" => Ok(Some(false)),
        _ => Err(format!("{column} must be true or false")),
    }
}

/// The body for a parser that waits: blocks until the next piece has come. Gives no more than
/// [`MAX_RECORD_BYTES`] without a record to show for it.
struct Pieces {
    lines: mpsc::Receiver<Bytes>,
    rest: Bytes,
    held: Rc<Cell<usize>>,
}

impl Pieces {
    fn new(lines: mpsc::Receiver<Bytes>) -> Self {
        Self { lines, rest: Bytes::new(), held: Rc::default() }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.lines.blocking_recv() {
                Some(piece) => self.rest = piece,
                None => return Ok(0),
            }
        }
        if self.held.get() > MAX_RECORD_BYTES {
            let message = format!("a line is longer than {MAX_RECORD_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let size = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..size]);
        self.held.set(self.held.get() + size);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use waypost_domain::customer::Customer;

    use super::*;

    /// Imports a text that comes in small pieces.
    fn import(format: Format, text: &[u8]) -> (Result<(), Problem>, Vec<Customer>, Vec<LineFault>) {
        let (pieces, lines) = mpsc::channel(text.len() + 1);
        for piece in text.chunks(7) {
            pieces.blocking_send(Bytes::copy_from_slice(piece)).unwrap();
        }
        drop(pieces);
        let (results, mut batches) = mpsc::channel(64);
        let org_id = OrgId::new("org-1");
        let importer = Importer { org_id, now: Timestamp(7), results, batch: Batch::default() };
        let done = importer.run(format, Pieces::new(lines));
        let (mut customers, mut faults) = (Vec::new(), Vec::new());
        while let Some(batch) = batches.blocking_recv() {
            assert!(batch.customers.len() <= BATCH);
            assert_eq!(batch.customers.len(), batch.lines.len());
            customers.extend(batch.customers.into_iter().map(|it| it.customer));
            faults.extend(batch.faults);
        }
        (done, customers, faults)
    }

    #[test]
    fn reads_csv_in_any_order_of_columns_and_tells_bad_lines() {
        let text = "\u{FEFF}Name,phone,tags,opt_in,active\r\n\
            \"Doe, Jane\",+1 555 000 1111,vip;new,yes,\r\n\
            Nobody,none,,,\r\n\
            \r\n\
            \"two\nlines\",15550002222,,no,0\r\n\
            short,15550003333\r\n\
            Maybe,15550004444,,perhaps,\r\n\
            ,15550005555,,,\r\n";
        let (done, customers, faults) = import(Format::Csv, text.as_bytes());
        assert_eq!(done, Ok(()));
        let phones: Vec<&str> = customers.iter().map(|it| it.phone.digits()).collect();
        assert_eq!(phones, ["15550001111", "15550005555"]);
        assert_eq!(customers[0].name.as_deref(), Some("Doe, Jane"));
        assert_eq!(customers[0].tags, ["vip", "new"]);
        assert!(customers[0].consent.as_ref().unwrap().opted_in);
        let lines: Vec<u64> = faults.iter().map(|it| it.line).collect();
        assert_eq!(lines, [3, 5, 7, 8]);
        assert!(faults[0].message.starts_with("phone: "), "{}", faults[0].message);
        assert!(!faults.iter().any(|it| it.message.contains("1555")));
    }

    #[test]
    fn a_quotation_mark_that_is_not_closed_is_told_with_the_lines_that_it_takes() {
        let text = "phone,name\n15550001111,\"a\n\"\n15550002222,\"b\n15550003333,c\n15550004444,d";
        for end in ["", "\n"] {
            let (done, customers, faults) = import(Format::Csv, format!("{text}{end}").as_bytes());
            assert_eq!((done, customers.len(), faults.len()), (Ok(()), 1, 1));
            assert_eq!(customers[0].name.as_deref(), Some("a"), "breaks at the end are trimmed");
            assert_eq!(faults[0].line, 4);
            assert!(faults[0].message.ends_with("the lines to 6 were taken as one"), "{faults:?}");
        }
    }

    #[test]
    fn a_csv_line_that_is_not_utf_8_is_told_by_its_own_number() {
        let text = b"phone,name\n15550001111,a\n15550002222,b\xFF\n15550003333,c\n";
        let (done, customers, faults) = import(Format::Csv, text);
        assert_eq!((done, customers.len()), (Ok(()), 2));
        assert_eq!(faults, [LineFault { line: 3, message: NOT_UTF_8.to_owned() }]);
        let (done, ..) = import(Format::Csv, b"ph\xFFne\n15550001111\n");
        assert!(done.unwrap_err().in_one_line().contains("line 1 is not UTF-8"));
    }

    #[test]
    fn reads_json_lines_and_tells_bad_lines() {
        let text = "{\"phone\":\"15550001111\",\"id\":\"c-1\"}\n\n\
            {\"phone\":\"15550002222\",\"fone\":1}\n\
            not json\n\
            [\"c-2\",\"15550004444\",\"Name\",[],true,null,null,true]\n\
            {\"phone\":\"15550003333\",\"tags\":[\"a\"]}";
        let (done, customers, faults) = import(Format::JsonLines, text.as_bytes());
        assert_eq!(done, Ok(()));
        assert_eq!(customers.len(), 2);
        assert_eq!(customers[0].id.as_str(), "c-1");
        let lines: Vec<u64> = faults.iter().map(|it| it.line).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert!(faults[0].message.contains("fone"));
        assert!(faults[2].message.contains("object"));
    }

    #[test]
    fn many_lines_come_in_batches() {
        let mut text = "phone\n".to_owned();
        for number in 0..2_500 {
            text.push_str(&format!("1555{:07}\n", 1_000_000 + number));
        }
        let (done, customers, faults) = import(Format::Csv, text.as_bytes());
        assert_eq!((done, customers.len(), faults.len()), (Ok(()), 2_500, 0));
    }

    #[test]
    fn refuses_headers_that_do_not_fit_and_records_without_end() {
        for (header, field) in
            [("name\n", "phone"), ("phone,age\n", "age"), ("phone,phone\n", "phone"), ("", "phone")]
        {
            let (done, ..) = import(Format::Csv, header.as_bytes());
            assert_eq!(done.unwrap_err().errors()[0].field, field, "{header:?}");
        }
        let open_quote = format!("phone\n15550001111\n\"{}", "x\n".repeat(4 * MAX_RECORD_BYTES));
        let refused = import(Format::Csv, open_quote.as_bytes()).0.unwrap_err().in_one_line();
        assert!(refused.contains("line 3:") && refused.contains("quotation mark"), "{refused}");
        let endless = "x".repeat(4 * MAX_RECORD_BYTES);
        assert!(import(Format::JsonLines, endless.as_bytes()).0.is_err());
    }

    #[test]
    fn a_report_lists_a_bounded_number_of_faults() {
        let fault = LineFault { line: 1, message: "x".to_owned() };
        let mut report = ImportReport::default();
        report.note(&vec![fault; 1_500]);
        assert_eq!((report.failed, report.errors.len()), (1_500, MAX_LISTED));
    }
}

//! `waypost admin customers import`: a file goes to the gateway in parts, so that neither side holds
//! it whole, and every fault is told with its line in the file. What a customer must look like is
//! the gateway's to say.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to the terminal"
)]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::api::Api;
use crate::cli::customers::ImportFormat;
use crate::stdout::{printable, say};

/// Customers in one part.
const MAX_PART_RECORDS: usize = 500;
/// Bytes in one part; the management API takes 256 KiB.
const MAX_PART_BYTES: usize = 192 * 1024;
/// Bytes of one customer.
const MAX_RECORD_BYTES: usize = 16 * 1024;
/// Faults that are told one by one on the terminal.
const MAX_FAULTS_SHOWN: usize = 20;

/// A line that was not imported.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
struct Fault {
    line: u64,
    message: String,
}

/// What came of an import.
#[derive(Default)]
struct Tally {
    created: u64,
    updated: u64,
    faults: Vec<Fault>,
}

/// Imports a file; `true` where every line of it was taken.
pub(super) async fn run(
    api: &Api,
    org: &str,
    file: &Path,
    format: Option<ImportFormat>,
    as_json: bool,
) -> anyhow::Result<bool> {
    let (source, size) = open(file)?;
    let format = format.map_or_else(|| format_of(file), Ok)?;
    let parts = Parts::new(format, source)?;
    let (tally, ended) = import(api, org, format, parts, &progress(size)).await;
    tell(&tally, as_json);
    ended.with_context(|| file.display().to_string())?;
    Ok(tally.faults.is_empty())
}

/// Sends part by part, up to one that cannot be read or is not taken. What came of those before it
/// is known all the same.
async fn import(
    api: &Api,
    org: &str,
    format: ImportFormat,
    mut parts: Parts,
    bar: &ProgressBar,
) -> (Tally, anyhow::Result<()>) {
    let mut tally = Tally::default();
    let sending = async {
        while let Some(part) = parts.next_part()? {
            let first_line = part.lines.first().map_or(1, |(_, line)| *line);
            take(api, org, format, part, &mut tally).await.with_context(|| {
                format!("stopped at line {first_line}; all before it is done, again does no harm")
            })?;
            bar.set_position(parts.bytes_read());
            bar.set_message(format!("{} customers", tally.created + tally.updated));
        }
        Ok(())
    };
    let ended = sending.await;
    bar.finish_and_clear();
    tally.faults.append(&mut parts.faults);
    tally.faults.sort_by_key(|fault| fault.line);
    (tally, ended)
}

async fn take(
    api: &Api,
    org: &str,
    format: ImportFormat,
    part: Part,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let content_type = match format {
        ImportFormat::Csv => "text/csv",
        ImportFormat::Jsonl => "application/x-ndjson",
    };
    let path = ["orgs", org, "customers", "import"];
    let answer = api.post_file(&path, content_type, part.body.clone()).await?;
    tally.created += answer["created"].as_u64().unwrap_or(0);
    tally.updated += answer["updated"].as_u64().unwrap_or(0);
    for fault in answer["errors"].as_array().into_iter().flatten() {
        tally.faults.push(Fault {
            line: part.line_in_file(fault["line"].as_u64().unwrap_or(1)),
            message: fault["message"].as_str().unwrap_or("refused").to_owned(),
        });
    }
    Ok(())
}

fn tell(tally: &Tally, as_json: bool) {
    let Tally { created, updated, faults } = tally;
    if as_json {
        say(format_args!(
            "{:#}",
            json!({"created": created, "updated": updated, "failed": faults.len(), "errors": faults})
        ));
        return;
    }
    say(format_args!("{created} created, {updated} updated, {} refused.", faults.len()));
    for fault in faults.iter().take(MAX_FAULTS_SHOWN) {
        eprintln!("line {}: {}", fault.line, printable(&fault.message));
    }
    if faults.len() > MAX_FAULTS_SHOWN {
        eprintln!("… and {} more; --json names all", faults.len() - MAX_FAULTS_SHOWN);
    }
}

fn format_of(file: &Path) -> anyhow::Result<ImportFormat> {
    let ending = file.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
    match ending.as_deref() {
        Some("csv") => Ok(ImportFormat::Csv),
        Some("jsonl" | "ndjson") => Ok(ImportFormat::Jsonl),
        _ => bail!("say what {} is: --format csv or --format jsonl", file.display()),
    }
}

type Source = Box<dyn Read + Send>;

fn open(file: &Path) -> anyhow::Result<(Source, Option<u64>)> {
    if file == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let failed = || format!("cannot read {}", file.display());
    let open = File::open(file).with_context(failed)?;
    let size = open.metadata().with_context(failed)?.len();
    Ok((Box::new(open), Some(size)))
}

/// Drawn on standard error, and only on a terminal.
fn progress(size: Option<u64>) -> ProgressBar {
    let (bar, template) = match size {
        Some(size) => {
            (ProgressBar::new(size), "{bar:40} {percent:>3} %  {msg}  {elapsed} (left: {eta})")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Some records of a file, as a body of their own.
#[derive(Debug, Default)]
struct Part {
    body: Vec<u8>,
    /// Each record's line in the body and in the file.
    lines: Vec<(u64, u64)>,
}

impl Part {
    /// A record may span several lines: the line of a fault belongs to the record it stands in.
    fn line_in_file(&self, line: u64) -> u64 {
        let after = self.lines.partition_point(|(in_body, _)| *in_body <= line);
        let record = self.lines.get(after.saturating_sub(1));
        record.map_or(line, |(in_body, in_file)| in_file + line.saturating_sub(*in_body))
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        self.lines.len() < MAX_PART_RECORDS && self.body.len() + bytes <= MAX_PART_BYTES
    }

    fn push(&mut self, line_in_file: u64, record: &[u8]) {
        self.lines.push((line_count(&self.body) + 1, line_in_file));
        self.body.extend_from_slice(record);
    }
}

fn line_count(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |count, byte| count + u64::from(*byte == b'\n'))
}

/// One record with its line in the file, or a line that is none.
type Record = Result<(u64, Vec<u8>), Fault>;

/// A file's records.
trait Records: Send {
    /// What every part begins with.
    fn head(&self) -> &[u8];
    /// The next record, line end included.
    fn next_record(&mut self) -> anyhow::Result<Option<Record>>;
    /// How far the file is read.
    fn bytes_read(&self) -> u64;
}

/// A file cut into parts.
struct Parts {
    records: Box<dyn Records>,
    /// Read, but for the next part.
    waiting: Option<(u64, Vec<u8>)>,
    faults: Vec<Fault>,
}

impl Parts {
    fn new(format: ImportFormat, source: Source) -> anyhow::Result<Self> {
        let records: Box<dyn Records> = match format {
            ImportFormat::Csv => Box::new(CsvRecords::new(source)?),
            ImportFormat::Jsonl => Box::new(JsonLines::new(source)),
        };
        Ok(Self { records, waiting: None, faults: Vec::new() })
    }

    fn next_part(&mut self) -> anyhow::Result<Option<Part>> {
        let mut part = Part { body: self.records.head().to_vec(), lines: Vec::new() };
        loop {
            let record = match self.waiting.take() {
                Some(record) => Some(Ok(record)),
                None => self.records.next_record()?,
            };
            match record {
                None => break,
                Some(Err(fault)) => self.faults.push(fault),
                Some(Ok((line, record))) if record.len() > MAX_RECORD_BYTES => {
                    self.faults.push(too_long(line));
                }
                Some(Ok((line, record))) if part.has_room_for(record.len()) => {
                    part.push(line, &record);
                }
                Some(Ok(record)) => {
                    self.waiting = Some(record);
                    break;
                }
            }
        }
        Ok((!part.lines.is_empty()).then_some(part))
    }

    fn bytes_read(&self) -> u64 {
        self.records.bytes_read()
    }
}

fn too_long(line: u64) -> Fault {
    Fault { line, message: format!("is longer than {MAX_RECORD_BYTES} bytes") }
}

/// Any line end becomes `\n`, and the last line has one, so that lines can be counted.
struct UnixLines {
    inner: BufReader<Source>,
    held: Option<u8>,
    last: Option<u8>,
}

impl UnixLines {
    fn new(source: Source) -> Self {
        Self { inner: BufReader::new(source), held: None, last: None }
    }

    fn raw_byte(&mut self) -> io::Result<Option<u8>> {
        if let Some(byte) = self.held.take() {
            return Ok(Some(byte));
        }
        let byte = self.inner.fill_buf()?.first().copied();
        self.inner.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        let byte = match self.raw_byte()? {
            Some(b'\r') => {
                self.held = self.raw_byte()?.filter(|byte| *byte != b'\n');
                Some(b'\n')
            }
            None if self.last.is_some_and(|last| last != b'\n') => Some(b'\n'),
            byte => byte,
        };
        self.last = byte;
        Ok(byte)
    }
}

impl Read for UnixLines {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        for (count, place) in out.iter_mut().enumerate() {
            match self.next_byte()? {
                Some(byte) => *place = byte,
                None => return Ok(count),
            }
        }
        Ok(out.len())
    }
}

struct CsvRecords {
    reader: csv::Reader<UnixLines>,
    head: Vec<u8>,
}

impl CsvRecords {
    fn new(source: Source) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new().from_reader(UnixLines::new(source));
        let columns = reader.headers().context("cannot read the line of column names")?.clone();
        ensure!(
            columns.iter().any(|name| name.trim() == "phone"),
            "the first line must name the columns, `phone` among them, with commas between; it is: {}",
            printable(&columns.iter().collect::<Vec<_>>().join(","))
        );
        let head = csv_line(columns.as_byte_record())?;
        Ok(Self { reader, head })
    }

    /// The line on which the record begins that was just read. The reader's own word for it counts
    /// blank lines before the record to it.
    fn first_line(&self, record: &csv::ByteRecord) -> u64 {
        let inside: u64 = record.iter().map(line_count).sum();
        self.reader.position().line().saturating_sub(inside + 1)
    }
}

impl Records for CsvRecords {
    fn head(&self) -> &[u8] {
        &self.head
    }

    fn next_record(&mut self) -> anyhow::Result<Option<Record>> {
        let mut record = csv::ByteRecord::new();
        let read = self.reader.read_byte_record(&mut record);
        let line = self.first_line(&record);
        let fault = |message: String| Ok(Some(Err(Fault { line, message })));
        match read {
            Ok(false) => Ok(None),
            Ok(true) if record.iter().any(|field| std::str::from_utf8(field).is_err()) => {
                fault("is not UTF-8".to_owned())
            }
            Ok(true) => Ok(Some(Ok((line, csv_line(&record)?)))),
            Err(error) => match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    fault(format!("has {len} columns, the first line names {expected_len}"))
                }
                _ => Err(error).context("cannot read on"),
            },
        }
    }

    fn bytes_read(&self) -> u64 {
        self.reader.position().byte()
    }
}

fn csv_line(record: &csv::ByteRecord) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().buffer_capacity(512).from_writer(Vec::new());
    writer.write_record(record.iter().map(<[u8]>::trim_ascii))?;
    writer.into_inner().context("writing to memory")
}

struct JsonLines {
    reader: BufReader<Source>,
    line: u64,
    bytes: u64,
}

impl JsonLines {
    fn new(source: Source) -> Self {
        Self { reader: BufReader::new(source), line: 0, bytes: 0 }
    }

    /// Reads to the end of the line, keeping at most one byte more than a record may have.
    fn read_line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut kept = Vec::new();
        loop {
            let seen = self.reader.fill_buf().context("cannot read on")?;
            let end = seen.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(seen.len(), |place| place + 1);
            let room = (MAX_RECORD_BYTES + 1).saturating_sub(kept.len());
            kept.extend_from_slice(&seen[..taken.min(room)]);
            self.reader.consume(taken);
            self.bytes += taken as u64;
            if taken == 0 && kept.is_empty() {
                return Ok(None);
            }
            if end.is_some() || taken == 0 {
                self.line += 1;
                return Ok(Some(kept));
            }
        }
    }
}

impl Records for JsonLines {
    fn head(&self) -> &[u8] {
        &[]
    }

    fn next_record(&mut self) -> anyhow::Result<Option<Record>> {
        while let Some(text) = self.read_line()? {
            let line = self.line;
            if text.len() > MAX_RECORD_BYTES {
                return Ok(Some(Err(too_long(line))));
            }
            let text = text.trim_ascii();
            let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
            if text.is_empty() {
                continue;
            }
            return Ok(Some(match serde_json::from_slice::<Map<String, Value>>(text) {
                Ok(_) => Ok((line, [text, b"\n"].concat())),
                Err(error) => {
                    Err(Fault { line, message: format!("is not a JSON object: {error}") })
                }
            }));
        }
        Ok(None)
    }

    fn bytes_read(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::gateway::Gateway;
    use crate::fake_server::FakeServer;

    fn cut(format: ImportFormat, text: impl Into<Vec<u8>>) -> (Vec<Part>, Vec<Fault>) {
        let mut parts = Parts::new(format, Box::new(io::Cursor::new(text.into()))).unwrap();
        let mut found = Vec::new();
        while let Some(part) = parts.next_part().unwrap() {
            found.push(part);
        }
        (found, parts.faults)
    }

    #[test]
    fn a_csv_file_is_cut_into_parts_that_each_begin_with_the_column_names() {
        let mut text = String::from("\u{feff}phone, name\r\n");
        for record in 0..1_203 {
            text.push_str(&format!("+1555000{record:04},Person {record}\r\n"));
        }
        let (parts, faults) = cut(ImportFormat::Csv, text);
        assert_eq!(faults, []);
        let sizes: Vec<_> = parts.iter().map(|part| part.lines.len()).collect();
        assert_eq!(sizes, [500, 500, 203]);
        for (place, part) in parts.iter().enumerate() {
            let body = std::str::from_utf8(&part.body).unwrap();
            let first = format!("phone,name\n+1555000{:04},Person", place * 500);
            assert!(body.starts_with(&first), "{}", &body[..60]);
        }
        assert_eq!(parts[2].line_in_file(2), 1_002);
    }

    #[test]
    fn a_fault_is_told_with_its_line_in_the_file_even_after_records_of_several_lines() {
        let text = "phone,name\n\n1,\"a\nb\"\n2,c\nonly one\n3,\"d\n\ne\"\n4,f\n";
        let (parts, faults) = cut(ImportFormat::Csv, text);
        assert_eq!(
            faults,
            [Fault { line: 6, message: "has 1 columns, the first line names 2".into() }]
        );
        assert_eq!(parts.len(), 1);
        let body = "phone,name\n1,\"a\nb\"\n2,c\n3,\"d\n\ne\"\n4,f\n";
        assert_eq!(std::str::from_utf8(&parts[0].body).unwrap(), body);
        for (in_body, in_file) in [(2, 3), (3, 4), (4, 5), (5, 7), (7, 9), (8, 10)] {
            assert_eq!(parts[0].line_in_file(in_body), in_file, "line {in_body} of the part");
        }
        for spelling in [text.replace('\n', "\r\n"), text.trim_end().to_owned()] {
            let (again, faults_again) = cut(ImportFormat::Csv, spelling);
            assert_eq!((&again[0].body, &again[0].lines), (&parts[0].body, &parts[0].lines));
            assert_eq!(faults_again, faults);
        }
    }

    #[test]
    fn a_csv_line_that_is_not_utf_8_is_told_and_the_others_are_taken() {
        let text = [b"phone,name\n1,\xff\n2, b \n".as_slice()].concat();
        let (parts, faults) = cut(ImportFormat::Csv, text);
        assert_eq!(faults, [Fault { line: 2, message: "is not UTF-8".into() }]);
        assert_eq!(parts[0].body, b"phone,name\n2,b\n");
    }

    #[test]
    fn json_lines_are_cut_and_their_faults_told() {
        let long = format!("{{\"phone\":\"{}\"}}", "1".repeat(MAX_RECORD_BYTES));
        let text = format!(
            "{{\"phone\":\"1\"}}\r\n\n[1]\nnonsense\n{long}\n  {{\"phone\":\"2\",\"tags\":[\"a\"]}}"
        );
        let (parts, faults) = cut(ImportFormat::Jsonl, text);
        let lines: Vec<_> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert!(faults[0].message.starts_with("is not a JSON object"));
        assert!(faults[2].message.starts_with("is longer than"));
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].body, b"{\"phone\":\"1\"}\n{\"phone\":\"2\",\"tags\":[\"a\"]}\n");
        assert_eq!(parts[0].line_in_file(2), 6);
    }

    #[tokio::test]
    async fn what_was_done_and_refused_is_known_also_where_the_import_stops() {
        let rows: String = (0..600).map(|row| format!("+1555000{row:04},x\n")).collect();
        let text = format!("phone,name\nonly one\n{rows}");
        let parts = Parts::new(ImportFormat::Csv, Box::new(io::Cursor::new(text))).unwrap();
        let at = "POST /waypost/v1/orgs/o/customers/import";
        let partly =
            json!({"created": 499, "updated": 0, "errors": [{"line": 3, "message": "no"}]});
        let gateway = FakeServer::start(&[(at, 200, partly), (at, 503, json!(null))]).await;
        let gateway = Gateway {
            url: Some(gateway.url()),
            key: Some("the-key".to_owned()),
            ..Gateway::default()
        };
        let api = Api::new(&gateway, Path::new("/nowhere")).unwrap();
        let bar = ProgressBar::hidden();
        let (tally, ended) = import(&api, "o", ImportFormat::Csv, parts, &bar).await;
        assert!(ended.unwrap_err().to_string().starts_with("stopped at line 503; "));
        assert_eq!(tally.created, 499);
        let lines: Vec<u64> = tally.faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn no_part_is_longer_than_the_management_api_takes() {
        let name = "x".repeat(MAX_RECORD_BYTES - 100);
        for (format, record, head) in [
            (ImportFormat::Csv, format!("1,{name}\n"), "phone,name\n"),
            (ImportFormat::Jsonl, format!("{{\"phone\":\"1\",\"name\":\"{name}\"}}\n"), ""),
        ] {
            let (parts, faults) = cut(format, head.to_owned() + &record.repeat(40));
            assert_eq!(faults, []);
            assert_eq!(parts.iter().map(|part| part.lines.len()).sum::<usize>(), 40);
            assert!(parts.len() > 1 && parts.iter().all(|part| part.body.len() <= MAX_PART_BYTES));
        }
    }

    #[test]
    fn a_csv_file_without_phones_is_refused_before_anything_is_sent() {
        for text in ["", "name\nAnn\n", "phone;name\n1;Ann\n"] {
            let source: Source = Box::new(io::Cursor::new(text));
            let error = Parts::new(ImportFormat::Csv, source).err().unwrap().to_string();
            assert!(error.contains("`phone` among them"), "{text}: {error}");
        }
    }

    #[test]
    fn the_files_name_tells_its_form() {
        for (name, wanted) in [
            ("a.csv", Some(ImportFormat::Csv)),
            ("a.CSV", Some(ImportFormat::Csv)),
            ("a.jsonl", Some(ImportFormat::Jsonl)),
            ("a.ndjson", Some(ImportFormat::Jsonl)),
            ("a.xlsx", None),
            ("-", None),
        ] {
            assert_eq!(format_of(Path::new(name)).ok(), wanted, "{name}");
        }
    }
}

//! Where values come from: the file, the environment, the flags; later ones win. Collects every
//! fault instead of stopping at the first. Knows nothing of what the settings mean together.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::setting::{Fallback, Flag, OTHER_VARIABLES, SETTINGS, Setting};
use super::value::Value;

/// The file that is read when none is named.
pub(crate) const DEFAULT_FILE: &str = "waypost.toml";
/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
const PREFIX: &str = "WAYPOST_";

/// What the process was given.
#[derive(Default)]
pub(crate) struct Inputs {
    /// `--config`.
    pub(crate) file: Option<PathBuf>,
    /// Settings' flags with their values; a flag that means a value has none.
    pub(crate) flags: Vec<(&'static str, Option<String>)>,
    /// The environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nowhere.
    Default,
    /// In a file.
    File(PathBuf),
    /// By a variable.
    Variable(String),
    /// By a flag.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The setting's name, or what else is at fault.
    pub(crate) setting: String,
    /// Where it was set.
    pub(crate) source: Source,
    /// What is wrong and what helps.
    pub(crate) problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Default => write!(f, "{}: {}", self.setting, self.problem),
            source => write!(f, "{} (from {source}): {}", self.setting, self.problem),
        }
    }
}

/// The values that were given, with every fault and warning found on the way.
#[derive(Default)]
pub(crate) struct Gathered {
    values: BTreeMap<&'static str, (Value, Source)>,
    unreadable: BTreeSet<&'static str>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<String>,
}

impl Gathered {
    /// Reads every source.
    pub(crate) fn from_inputs(inputs: &Inputs) -> Self {
        let mut gathered = Self::default();
        gathered.take_defaults();
        gathered.take_file(inputs);
        gathered.take_environment(&inputs.environment);
        gathered.take_flags(&inputs.flags);
        gathered
    }

    /// The value that won, given or by the table.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key).map(|(value, _)| value)
    }

    /// Where the value that won was set.
    pub(super) fn source(&self, key: &str) -> Source {
        self.values.get(key).map_or(Source::Default, |(_, source)| source.clone())
    }

    /// Whether somebody tried to set it and failed: no second fault is wanted about it.
    pub(super) fn is_unreadable(&self, key: &str) -> bool {
        self.unreadable.contains(key)
    }

    /// Records what is wrong with a setting.
    pub(super) fn fault(&mut self, key: &str, problem: impl Into<String>) {
        let source = self.source(key);
        self.faults.push(Fault { setting: key.to_owned(), source, problem: problem.into() });
    }

    fn take_defaults(&mut self) {
        for setting in SETTINGS {
            if let Fallback::Literal(text) = setting.default {
                let read = format!("value = {text}").parse::<toml::Table>();
                let value =
                    read.ok().and_then(|table| setting.kind.read_toml(&table["value"]).ok());
                self.values.extend(value.map(|value| (setting.key, (value, Source::Default))));
            }
        }
    }

    fn take_file(&mut self, inputs: &Inputs) {
        let variable = variable(&inputs.environment, "WAYPOST_CONFIG").map(PathBuf::from);
        let named = inputs.file.clone().or(variable);
        let path = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        if named.is_none() && !path.exists() {
            return;
        }
        match read_file(&path) {
            Ok(table) => self.take_table("", &table, &path),
            Err(problem) => self.faults.push(Fault {
                setting: "configuration file".to_owned(),
                source: Source::File(path),
                problem,
            }),
        }
    }

    fn take_table(&mut self, section: &str, table: &toml::Table, path: &Path) {
        for (name, value) in table {
            let key = format!("{section}{name}");
            let prefix = format!("{key}.");
            let source = Source::File(path.to_owned());
            let is_section = SETTINGS.iter().any(|setting| setting.key.starts_with(&prefix));
            match (Setting::named(&key), value) {
                (Some(setting), _) => self.take(setting, setting.kind.read_toml(value), source),
                (None, toml::Value::Table(inner)) if is_section => {
                    self.take_table(&prefix, inner, path);
                }
                (None, _) if is_section => {
                    let problem = format!("is a section: write [{key}] on a line of its own");
                    self.faults.push(Fault { setting: key, source, problem });
                }
                (None, _) => {
                    let problem = "there is no setting of this name".to_owned();
                    self.faults.push(Fault { setting: key, source, problem });
                }
            }
        }
    }

    fn take_environment(&mut self, environment: &[(OsString, OsString)]) {
        for setting in SETTINGS {
            let name = setting.variable();
            match variable(environment, &name).map(|value| value.to_str()) {
                // An empty variable is how container tools spell "not set".
                None | Some(Some("")) => {}
                Some(Some(text)) => {
                    self.take(setting, setting.kind.read_text(text), Source::Variable(name));
                }
                Some(None) => {
                    self.take(setting, Err("is not UTF-8".to_owned()), Source::Variable(name));
                }
            }
        }
        let mut unknown: Vec<_> = environment
            .iter()
            .filter_map(|(name, _)| name.to_str())
            .filter(|name| name.starts_with(PREFIX) && !is_known_variable(name))
            .map(|name| format!("{name}: there is no setting of this name; it has no effect"))
            .collect();
        unknown.sort();
        self.warnings.extend(unknown);
    }

    fn take_flags(&mut self, flags: &[(&'static str, Option<String>)]) {
        for (name, value) in flags {
            let Some(setting) = SETTINGS.iter().find(|each| each.flag.name() == Some(name)) else {
                continue;
            };
            let text = match setting.flag {
                Flag::Means(_, meaning, _) => meaning,
                Flag::Takes(_) | Flag::None => value.as_deref().unwrap_or_default(),
            };
            self.take(setting, setting.kind.read_text(text), Source::Flag(name));
        }
    }

    fn take(&mut self, setting: &'static Setting, read: Result<Value, String>, source: Source) {
        match read {
            Ok(value) => {
                self.unreadable.remove(setting.key);
                self.values.insert(setting.key, (value, source));
            }
            Err(problem) => {
                self.unreadable.insert(setting.key);
                self.faults.push(Fault { setting: setting.key.to_owned(), source, problem });
            }
        }
    }
}

fn is_known_variable(name: &str) -> bool {
    OTHER_VARIABLES.contains(&name) || SETTINGS.iter().any(|setting| setting.variable() == name)
}

fn variable<'a>(environment: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    let found = environment.iter().find(|(each, _)| each == name)?;
    Some(found.1.as_os_str()).filter(|value| !value.is_empty())
}

fn read_file(path: &Path) -> Result<toml::Table, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("is longer than {MAX_FILE_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    text.parse::<toml::Table>().map_err(|error| {
        // The parser's own report quotes the line, which may hold a secret.
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{place}is not TOML: {}", error.message())
    })
}

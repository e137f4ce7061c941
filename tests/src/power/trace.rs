//! Reads what strace wrote (`-f -y -xx`): the calls that change files of one folder, and what was said
//! to sockets. It knows nothing of disks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The calls to be recorded.
pub const CALLS: &str = "trace=openat,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,\
    ftruncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,sendto,sendmsg";

/// Something that happened. Paths are relative to the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A file was opened, and made or emptied by that.
    Open {
        /// The file.
        path: PathBuf,
        /// Whether it was made where there was none.
        makes: bool,
        /// Whether it was emptied.
        empties: bool,
    },
    /// Bytes were written.
    Write {
        /// The file.
        path: PathBuf,
        /// Where; `None` where the file's own position says it.
        at: Option<u64>,
        /// What.
        data: Vec<u8>,
    },
    /// A file was cut or lengthened.
    Truncate {
        /// The file.
        path: PathBuf,
        /// Its new length.
        length: u64,
    },
    /// A sync began: it covers what was written before.
    SyncBegun {
        /// The file or folder.
        path: PathBuf,
        /// Which thread's.
        thread: u32,
    },
    /// That sync was done.
    SyncDone {
        /// The file or folder.
        path: PathBuf,
        /// Which thread's.
        thread: u32,
    },
    /// A file got another name.
    Rename {
        /// The old one.
        from: PathBuf,
        /// The new one.
        to: PathBuf,
    },
    /// A name was removed.
    Remove {
        /// It.
        path: PathBuf,
    },
    /// A folder was made.
    MakeFolder {
        /// It.
        path: PathBuf,
    },
    /// A success was answered to the request with this id.
    Answered {
        /// The request's id.
        request: String,
    },
}

/// Reads a recording of what happened in `folder`.
///
/// # Panics
/// Where a line cannot be understood: the model would be wrong from then on.
#[must_use]
pub fn read(text: &str, folder: &Path) -> Vec<Event> {
    let mut reader = Reader { folder, open: HashMap::new(), events: Vec::new() };
    for line in text.lines() {
        reader.line(line);
    }
    reader.events
}

struct Reader<'a> {
    folder: &'a Path,
    /// The beginnings of calls that others interrupted.
    open: HashMap<u32, String>,
    events: Vec<Event>,
}

impl Reader<'_> {
    fn line(&mut self, line: &str) {
        let Some((thread, rest)) = line.split_once(' ') else { return };
        let Ok(thread) = thread.parse::<u32>() else { return };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            self.begun(thread, begun);
            self.open.insert(thread, begun.to_owned());
        } else if rest.starts_with("<... ") {
            let Some((_, end)) = rest.split_once("resumed>") else { return };
            let Some(begun) = self.open.remove(&thread) else { return };
            self.done(thread, &format!("{begun}{end}"));
        } else if rest.starts_with(|first: char| first.is_ascii_lowercase()) {
            self.begun(thread, rest);
            self.done(thread, rest);
        }
    }

    /// What counts from a call's beginning: what a sync covers, and what is on its way out.
    fn begun(&mut self, thread: u32, text: &str) {
        let Some(call) = Call::read(text) else { return };
        match call.name {
            "fsync" | "fdatasync" => {
                if let Some(path) = call.file().and_then(|path| self.inside(&path)) {
                    self.events.push(Event::SyncBegun { path, thread });
                }
            }
            "write" | "writev" | "sendto" | "sendmsg" => {
                let is_socket = call.file().is_some_and(|path| path.starts_with("socket:"));
                if let (true, Some(request)) = (is_socket, success(&call.strings().concat())) {
                    self.events.push(Event::Answered { request });
                }
            }
            _ => {}
        }
    }

    fn done(&mut self, thread: u32, text: &str) {
        let Some(call) = Call::read(text) else { return };
        let Some(result) = call.result() else { return };
        if let Some(event) = self.effect(thread, &call, result) {
            self.events.push(event);
        }
    }

    fn effect(&self, thread: u32, call: &Call<'_>, result: u64) -> Option<Event> {
        let of_file = || call.file().and_then(|path| self.inside(&path));
        let named = |place: usize| {
            let path = call.strings().into_iter().nth(place)?;
            self.inside(&String::from_utf8_lossy(&path))
        };
        match call.name {
            "openat" | "creat" => {
                let (makes, empties) =
                    (call.args.contains("O_CREAT"), call.args.contains("O_TRUNC"));
                let path = named(0)?;
                (call.name == "creat" || makes || empties || call.args.contains("WR"))
                    .then_some(Event::Open { path, makes, empties })
            }
            "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" => {
                let path = of_file()?;
                let mut data = call.strings().concat();
                data.truncate(usize::try_from(result).unwrap_or(usize::MAX));
                assert_eq!(data.len() as u64, result, "strace kept too little of {}", call.name);
                let at = call.name.starts_with('p').then(|| call.offset()).flatten();
                Some(Event::Write { path, at, data })
            }
            "ftruncate" => Some(Event::Truncate { path: of_file()?, length: call.last_number()? }),
            "fallocate" => {
                let path = of_file()?;
                panic!("fallocate of {} is not modelled", path.display())
            }
            "fsync" | "fdatasync" => Some(Event::SyncDone { path: of_file()?, thread }),
            "rename" | "renameat" | "renameat2" => {
                Some(Event::Rename { from: named(0)?, to: named(1)? })
            }
            "unlink" | "unlinkat" => Some(Event::Remove { path: named(0)? }),
            "mkdir" | "mkdirat" => Some(Event::MakeFolder { path: named(0)? }),
            _ => None,
        }
    }

    fn inside(&self, path: &str) -> Option<PathBuf> {
        Path::new(path).strip_prefix(self.folder).ok().map(Path::to_owned)
    }
}

/// One call as it stands in a line.
struct Call<'a> {
    name: &'a str,
    args: &'a str,
    after: &'a str,
}

impl<'a> Call<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (name, rest) = text.split_once('(')?;
        // Results are aligned; no string has a space in it.
        let (args, after) = rest.rsplit_once("= ").unwrap_or((rest, ""));
        let args = args.trim_end();
        Some(Self { name, args: args.strip_suffix(')').unwrap_or(args), after })
    }

    /// What it returned; `None` for an error.
    fn result(&self) -> Option<u64> {
        let end = self.after.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.after.len());
        self.after[..end].parse().ok()
    }

    /// The path of the file in its first argument. One that has been removed has none.
    fn file(&self) -> Option<String> {
        let first = self.args.split(',').next()?;
        let (_, rest) = first.split_once('<')?;
        let (hex, after) = rest.split_once('>')?;
        (!after.contains("(deleted)")).then(|| String::from_utf8_lossy(&bytes(hex)).into_owned())
    }

    /// The strings among its arguments.
    fn strings(&self) -> Vec<Vec<u8>> {
        let quoted = self.args.split('"').skip(1).step_by(2);
        quoted.map(bytes).collect()
    }

    fn last_number(&self) -> Option<u64> {
        self.args.rsplit(',').next()?.trim().parse().ok()
    }

    /// Where a positioned write goes: its last argument, or the one before flags.
    fn offset(&self) -> Option<u64> {
        if self.name != "pwritev2" {
            return self.last_number();
        }
        self.args.rsplit(',').nth(1)?.trim().parse().ok()
    }
}

/// `\x41\x42` as bytes.
fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.split("\\x").skip(1);
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("strace writes hexadecimal")).collect()
}

/// The request's id in the head of an answer of success.
fn success(bytes: &[u8]) -> Option<String> {
    if !bytes.starts_with(b"HTTP/1.1 2") {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let head = text.split("\r\n\r\n").next()?;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let (_, id) = lines.find(|(name, _)| name.eq_ignore_ascii_case("x-request-id"))?;
    Some(id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    #[test]
    fn reads_calls_also_interrupted_ones() {
        let (a, b, s) = (hex("/d/a"), hex("/d/b"), hex("socket:[7]"));
        let answer = hex("HTTP/1.1 202 Accepted\r\nX-Request-Id: m-1\r\n\r\n{}");
        let text = format!(
            "7 openat(AT_FDCWD<{cwd}>, \"{a}\", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3<{a}>\n\
             7 pwrite64(3<{a}>, \"{xy}\", 2, 40) = 2\n\
             7 fdatasync(3<{a}> <unfinished ...>\n\
             8 pwrite64(3<{a}>, \"{xy}\", 2, 80) = -1 ENOSPC (No space left on device)\n\
             8 writev(9<{s}>, [{{iov_base=\"{answer}\", iov_len=9}}], 1 <unfinished ...>\n\
             7 <... fdatasync resumed>)     = 0\n\
             8 <... writev resumed>) = 9\n\
             7 rename(\"{a}\", \"{b}\") = 0\n\
             7 ftruncate(3<{b}>, 1) = 0\n\
             7 openat(AT_FDCWD<{cwd}>, \"{b}\", O_RDONLY|O_CLOEXEC) = 4<{b}>\n\
             7 write(2<{out}>, \"{xy}\", 2) = 2\n\
             7 unlink(\"{b}\") = 0\n\
             7 +++ exited with 0 +++\n",
            cwd = hex("/"),
            xy = hex("xy"),
            out = hex("/elsewhere"),
        );
        let (a, b) = (PathBuf::from("a"), PathBuf::from("b"));
        assert_eq!(
            read(&text, Path::new("/d")),
            [
                Event::Open { path: a.clone(), makes: true, empties: false },
                Event::Write { path: a.clone(), at: Some(40), data: b"xy".to_vec() },
                Event::SyncBegun { path: a.clone(), thread: 7 },
                Event::Answered { request: "m-1".to_owned() },
                Event::SyncDone { path: a.clone(), thread: 7 },
                Event::Rename { from: a, to: b.clone() },
                Event::Truncate { path: b.clone(), length: 1 },
                Event::Remove { path: b },
            ]
        );
    }
}

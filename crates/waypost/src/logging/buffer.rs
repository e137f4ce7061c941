//! Log lines on their way to standard error: gathered for a moment and written together. A lock and
//! a system call for each line cost a send more than its own line does.
//!
//! What was gathered in the last moment is lost when the process is killed; an orderly end and a
//! failed start write it out.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long lines are gathered.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes that may wait; beyond, who logs writes them out and waits for it.
const MAX_WAITING_BYTES: usize = 1_024 * 1_024;

/// Gathers lines. Clones gather together.
#[derive(Clone)]
pub(super) struct LogBuffer(Arc<Shared>);

struct Shared {
    lines: Mutex<Vec<u8>>,
    filled: Condvar,
    /// Held while lines are taken and written, so that they keep their order.
    out: Mutex<Box<dyn Write + Send>>,
}

impl LogBuffer {
    /// A buffer that is written to `out` by a thread of its own.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Shared {
            lines: Mutex::new(Vec::new()),
            filled: Condvar::new(),
            out: Mutex::new(Box::new(out)),
        };
        let buffer = Self(Arc::new(shared));
        let writing = buffer.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writing.write_on())?;
        Ok(buffer)
    }

    /// Writes out what was gathered.
    pub(super) fn write_out(&self) {
        let mut out = self.0.out.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut *self.lines());
        // There is nowhere to complain to.
        let _ = out.write_all(&lines).and_then(|()| out.flush());
    }

    fn write_on(&self) {
        loop {
            let lines = self.lines();
            let filled = self.0.filled.wait_while(lines, |lines| lines.is_empty());
            drop(filled);
            std::thread::sleep(GATHER);
            self.write_out();
        }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LogBuffer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.lines();
        let was_empty = lines.is_empty();
        lines.extend_from_slice(line);
        let is_full = lines.len() > MAX_WAITING_BYTES;
        drop(lines);
        if was_empty {
            self.0.filled.notify_one();
        }
        if is_full {
            self.write_out();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Sent(Sender<Vec<u8>>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_by_themselves_whole_and_in_order() {
        let (sender, written) = channel();
        let mut buffer = LogBuffer::start(Sent(sender)).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            buffer.write_all(line.as_bytes()).unwrap();
        }
        let mut text = Vec::new();
        while !text.ends_with(b"three\n") {
            text.extend(written.recv().unwrap());
        }
        assert_eq!(text, b"one\ntwo\nthree\n");
    }

    #[test]
    fn an_orderly_end_writes_everything_out() {
        let (sender, written) = channel();
        let mut buffer = LogBuffer::start(Sent(sender)).unwrap();
        buffer.write_all(b"last words\n").unwrap();
        buffer.write_out();
        assert_eq!(written.recv().unwrap(), b"last words\n");
    }
}

//! A reader of standard output that goes away ends a command quietly.

use std::error::Error;
use std::process::Command;

#[test]
fn a_command_ends_without_a_word_where_nobody_reads_it() -> Result<(), Box<dyn Error>> {
    for arguments in [["config", "defaults"], ["config", "print"]] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let waypost = env!("CARGO_BIN_EXE_waypost");
        let ended = Command::new(waypost).args(arguments).stdout(writer).output()?;
        assert_eq!(ended.status.code(), Some(141), "{arguments:?}");
        assert_eq!(String::from_utf8(ended.stderr)?, "", "{arguments:?}");
    }
    Ok(())
}

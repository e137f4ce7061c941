//! Hostile input that is particular to this vendor; what is hostile to all is in `tests/hostile.rs`
//! of this crate.

use super::*;

/// Numbers that no double holds are refused where Meta's form is kept.
#[test]
fn numbers_without_end_are_refused() {
    let huge = format!("1{}", "0".repeat(400));
    let body = flow().to_string().replace("\"A\"", &huge);
    assert_refused(
        post(path::FLOW_MESSAGE, body.as_bytes()),
        ErrorKind::InvalidValue,
        Some("data"),
    );
    let body = location().to_string().replace("-1.2921", &huge);
    assert!(post(path::LOCATION, body.as_bytes()).is_err());
}

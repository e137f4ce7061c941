//! The reference's table of test cases.

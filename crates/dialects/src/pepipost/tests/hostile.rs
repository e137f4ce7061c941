//! Hostile input that is particular to this vendor; what is hostile to all is in `tests/hostile.rs`
//! of this crate.

use proptest::prelude::*;

use super::*;

#[test]
fn characters_that_whatsapp_cannot_carry_are_refused() {
    for (pointer, base) in [
        ("/message/0/type_text/0/content", text()),
        ("/message/0/x-apiheader", text()),
        ("/message/0/type_template/0/name", template()),
        ("/message/0/type_location/0/name", location()),
    ] {
        assert!(submit(&with(base, pointer, json!("a\0b"))).is_err(), "{pointer}");
    }
}

proptest! {
    #[test]
    fn any_text_is_an_id_that_is_read_without_a_panic(text in any::<String>()) {
        let id = wire::media_id(&text);
        prop_assert!(id.as_str() == text.trim() || id.as_str().len() == 16);
    }
}

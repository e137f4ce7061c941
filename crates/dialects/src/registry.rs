//! Which dialects and which shapes of callbacks there are: one line for each. Nothing else in the
//! workspace lists them.

use waypost_domain::callback::CallbackShape;

use crate::contract::Dialect;
use crate::lipachat::{LipaChat, LipaChatEvents};
use crate::pepipost::{Pepipost, PepipostEvents};
use crate::replyhero::ReplyHero;
use crate::shapes::{CloudApiEvents, StandardEvents};
use crate::webex_connect::{WebexConnect, WebexConnectEvents};

/// Every dialect that is served.
pub static DIALECTS: &[&dyn Dialect] = &[&ReplyHero, &LipaChat, &WebexConnect, &Pepipost];

/// Every shape in which events are posted.
pub static SHAPES: &[&dyn CallbackShape] =
    &[&StandardEvents, &CloudApiEvents, &LipaChatEvents, &WebexConnectEvents, &PepipostEvents];

/// The dialect with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static dyn Dialect> {
    DIALECTS.iter().copied().find(|dialect| dialect.info().id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::BodyKind;
    use std::collections::HashSet;

    #[test]
    fn every_dialect_has_an_id_and_paths_of_its_own() {
        let mut ids = HashSet::new();
        let mut places = HashSet::new();
        for dialect in DIALECTS {
            let info = dialect.info();
            assert!(ids.insert(info.id));
            assert!(info.id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')));
            assert!(info.path_prefix.starts_with('/') && info.path_prefix.ends_with('/'));
            for route in dialect.routes() {
                assert!(places.insert((route.method.clone(), route.path)), "{}", route.path);
                assert!(route.path.starts_with(info.path_prefix) && !route.path.ends_with('/'));
                assert!(route.body == BodyKind::None || route.body.max_bytes() > 0);
            }
            assert!(find(info.id).is_some());
        }
        assert!(find("unheard_of").is_none());
    }
}

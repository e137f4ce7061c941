//! Each dialect's samples do what they say, and the support matrix in `docs/dialects.md` is made of
//! them. `WAYPOST_UPDATE_DOCS=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use waypost_dialects::proof::features_of;
use waypost_dialects::samples::Feature;
use waypost_dialects::{DIALECTS, Dialect, SHAPES};

const BEGIN: &str = "<!-- made by crates/dialects/tests/support_matrix.rs: begin -->";
const END: &str = "<!-- made by crates/dialects/tests/support_matrix.rs: end -->";

#[test]
fn samples_are_taken_and_show_what_they_say() {
    for dialect in DIALECTS {
        let id = dialect.info().id;
        assert!(!dialect.samples().is_empty(), "{id} shows nothing");
        for sample in dialect.samples() {
            let command = sample.decode(*dialect).unwrap_or_else(|problem| {
                panic!("{id}: {:?} on {}: {problem}", sample.feature, sample.path)
            });
            let features = features_of(&command);
            assert!(features.contains(&sample.feature), "{id}: {:?} {features:?}", sample.feature);
        }
    }
}

#[test]
fn every_route_is_shown_by_a_sample() {
    for dialect in DIALECTS {
        let shown: Vec<_> =
            dialect.samples().iter().map(|sample| (&sample.method, sample.path)).collect();
        for route in dialect.routes() {
            let fits = |path: &str| {
                let path = path.split('?').next().unwrap_or_default();
                let (wanted, given) = (route.path.split('/'), path.split('/'));
                wanted.clone().count() == given.clone().count()
                    && wanted.zip(given).all(|(one, other)| one.starts_with('{') || one == other)
            };
            assert!(
                shown.iter().any(|(method, path)| **method == route.method && fits(path)),
                "{}: nothing shows {} {}",
                dialect.info().id,
                route.method,
                route.path
            );
        }
    }
}

#[test]
fn the_matrix_in_the_documents_is_the_one_that_the_samples_make() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dialects.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}\n{}{END}{after}", matrix());
    if std::env::var_os("WAYPOST_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert!(
        wanted == std::fs::read_to_string(&path).unwrap(),
        "docs/dialects.md is behind; run this test with WAYPOST_UPDATE_DOCS=1"
    );
}

fn matrix() -> String {
    let mut text = String::from("\n|");
    for dialect in DIALECTS {
        let _ = write!(text, " | {}", dialect.info().title);
    }
    text.push_str(" |\n|---");
    text.push_str(&"|---".repeat(DIALECTS.len()));
    text.push_str("|\n");
    for feature in Feature::ALL {
        let _ = write!(text, "| {}", feature.title());
        for dialect in DIALECTS {
            let _ = write!(text, " | {}", if offers(*dialect, feature) { "yes" } else { "" });
        }
        text.push_str(" |\n");
    }
    let _ = write!(text, "| callbacks in the vendor's own shape");
    for dialect in DIALECTS {
        let own = SHAPES.iter().any(|shape| shape.info().id == dialect.info().id);
        let _ = write!(text, " | {}", if own { "yes" } else { "" });
    }
    text.push_str(" |\n\n");
    text
}

fn offers(dialect: &dyn Dialect, feature: Feature) -> bool {
    dialect.samples().iter().any(|sample| sample.feature == feature)
}

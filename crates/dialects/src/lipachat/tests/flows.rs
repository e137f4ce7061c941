//! The management of forms.

use waypost_domain::content::FlowName;
use waypost_domain::manage::FlowsOf;

use super::*;

const DEFINITION: &[u8] = br#"{"version":"7.0","screens":[]}"#;

fn create(body: Body<'_>) -> Result<Task, Failure> {
    manage(&Method::POST, path::FLOWS, &[], body)
}

fn update(id: &str, body: Body<'_>) -> Result<Task, Failure> {
    manage(&Method::PUT, path::ONE_FLOW, &[("id", id)], body)
}

fn fields(categories: &str) -> [(&'static str, &str); 3] {
    [("phoneNumber", "+15550009999"), ("name", " f "), ("categories", categories)]
}

#[test]
fn a_form_makes_a_flow_of_its_file() {
    let file = Some(("f.json", "application/json", DEFINITION));
    for (written, categories) in [
        ("OTHER", &["OTHER"][..]),
        ("others", &["OTHER"]),
        ("SURVEY, OTHERS", &["SURVEY", "OTHER"]),
        ("[\"SURVEY\"]", &["SURVEY"]),
    ] {
        let expected = Task::CreateFlow {
            number: Some("15550009999".to_owned()),
            name: "f".to_owned(),
            categories: categories.iter().map(|it| (*it).to_owned()).collect(),
            json: None,
        };
        assert_eq!(create(Body::Form(&form(&fields(written), file))).unwrap(), expected);
    }
}

#[test]
fn json_makes_a_flow_of_an_object_or_a_text() {
    let definition: Value = serde_json::from_slice(DEFINITION).unwrap();
    for file in [definition.clone(), json!(definition.to_string())] {
        let body = json!({"phoneNumber": 15_550_009_999_u64, "name": "f", "categories": ["OTHERS"], "file": file});
        let body = body.to_string();
        let expected = Task::CreateFlow {
            number: Some("15550009999".to_owned()),
            name: "f".to_owned(),
            categories: vec!["OTHER".to_owned()],
            json: Some(DEFINITION.to_vec()),
        };
        assert_eq!(create(Body::Json(body.as_bytes())).unwrap(), expected);
    }
}

#[test]
fn a_flow_without_a_readable_file_fails_in_the_vendors_words() {
    let unreadable = [
        None,
        Some(("f", "text/plain", &b""[..])),
        Some(("f", "text/plain", b"<xml/>")),
        Some(("f", "application/json", b"[1]")),
        Some(("f", "application/json", b"{\"a\":")),
    ];
    for file in unreadable {
        let form = form(&fields("OTHER"), file);
        for result in [create(Body::Form(&form)), update("4", Body::Form(&form))] {
            let failure = result.unwrap_err();
            assert_eq!(failure.words_of("lipachat").unwrap().text, "Request failed.");
        }
    }
    let body =
        json!({"phoneNumber": "15550009999", "name": "f", "categories": "OTHER"}).to_string();
    let failure = create(Body::Json(body.as_bytes())).unwrap_err();
    assert_eq!(failure.words_of("lipachat").unwrap().text, "Request failed.");
}

/// A definition longer than what a dialect sees of it is left to the upstream.
#[test]
fn a_long_file_is_judged_by_its_beginning() {
    let mut form = form(&fields("OTHER"), Some(("f", "", b" {\"screens\":[")));
    form.file.as_mut().unwrap().size = 100_000;
    assert!(create(Body::Form(&form)).is_ok());
    form.file.as_mut().unwrap().head = b"PK\x03\x04".to_vec();
    assert!(create(Body::Form(&form)).is_err());
}

#[test]
fn every_part_of_a_new_flow_is_required() {
    for at in 0..3 {
        let mut given = fields("OTHER").to_vec();
        let (name, _) = given.remove(at);
        let form = form(&given, Some(("f.json", "", DEFINITION)));
        assert_refused(create(Body::Form(&form)), ErrorKind::MissingField, Some(name));
    }
    let mut given = fields("OTHER");
    given[0].1 = "our shop";
    let form = form(&given, Some(("f.json", "", DEFINITION)));
    assert_refused(create(Body::Form(&form)), ErrorKind::NumberNotFound, Some("phoneNumber"));
}

#[test]
fn a_change_names_the_flow_by_either_id() {
    let form = form(&[("name", "g")], Some(("f.json", "", DEFINITION)));
    for (id, flow) in [
        ("4", FlowName::Local(4)),
        ("1000000000000777", FlowName::Id("1000000000000777".to_owned())),
    ] {
        let expected =
            Task::UpdateFlow { flow, name: Some("g".to_owned()), categories: None, json: None };
        assert_eq!(update(id, Body::Form(&form)).unwrap(), expected);
    }
    assert_refused(update("4%2f5", Body::Form(&form)), ErrorKind::FlowNotFound, None);
}

/// 53 and its like: what the engine is asked.
#[test]
fn flows_are_listed_shown_and_published() {
    let flow = FlowName::Local(4);
    let id = [("id", "4")];
    for (method, path, params, expected) in [
        (Method::GET, path::FLOWS, &[][..], Task::ListFlows(FlowsOf::Org)),
        (
            Method::GET,
            path::ONE_FLOW,
            &[("id", "+1 555 000 9999")],
            Task::ListFlows(FlowsOf::Number("15550009999".to_owned())),
        ),
        (
            Method::GET,
            path::ONE_FLOW,
            &[("id", "15550009999")],
            Task::ListFlows(FlowsOf::NumberOrFlow("15550009999".to_owned())),
        ),
        // Of fewer digits no number is made.
        (
            Method::GET,
            path::ONE_FLOW,
            &[("id", "+99999")],
            Task::ListFlows(FlowsOf::NumberOrFlow("99999".to_owned())),
        ),
        (Method::GET, path::FLOW_PREVIEW, &id, Task::PreviewFlow { flow: flow.clone() }),
        (Method::POST, path::FLOW_PUBLISH, &id, Task::PublishFlow { flow }),
    ] {
        assert_eq!(manage(&method, path, params, Body::None).unwrap(), expected);
    }
    let unknown = manage(&Method::GET, path::ONE_FLOW, &[("id", "mine")], Body::None);
    assert_refused(unknown, ErrorKind::FlowNotFound, None);
}

//! `waypost send`: one message through a running gateway's management API.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::admin::{Api, print_done};
use crate::cli::send::SendArgs;

/// Sends one message and tells its id and state.
///
/// # Errors
/// What the gateway refused, in its words, or why it was not reached.
pub(crate) async fn run(args: &SendArgs, data_dir: &Path) -> anyhow::Result<()> {
    let api = Api::new(&args.gateway, data_dir)?;
    let org = api.org().await?;
    let body = message(args);
    let sent = api.post(&["orgs", &org, "messages"], Some(&body)).await?;
    let word = |key: &str| sent[key].as_str().unwrap_or("?").to_owned();
    print_done(&format!("Message {}: {}.", word("id"), word("status")), &sent, args.gateway.json);
    Ok(())
}

/// Meta's message object with what Waypost adds to it.
fn message(args: &SendArgs) -> Value {
    let given = [
        ("number", &args.number),
        ("to", &args.to),
        ("customer_id", &args.customer),
        ("biz_opaque_callback_data", &args.reference),
    ];
    let mut body: Map<String, Value> = given
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| (name.to_owned(), json!(value))))
        .collect();
    let (kind, content) = content(args);
    body.insert("type".to_owned(), json!(kind));
    body.insert(kind.to_owned(), content);
    Value::Object(body)
}

fn content(args: &SendArgs) -> (&'static str, Value) {
    if let Some(text) = &args.text {
        return ("text", json!({"body": text}));
    }
    if let Some(link) = &args.image {
        let mut image = json!({"link": link});
        if let Some(caption) = &args.caption {
            image["caption"] = json!(caption);
        }
        return ("image", image);
    }
    let mut components = Vec::new();
    if let Some(link) = &args.header_image {
        let parameters = json!([{"type": "image", "image": {"link": link}}]);
        components.push(json!({"type": "header", "parameters": parameters}));
    }
    if !args.params.is_empty() {
        let text = |value: &String| json!({"type": "text", "text": value});
        let parameters: Vec<_> = args.params.iter().map(text).collect();
        components.push(json!({"type": "body", "parameters": parameters}));
    }
    let template = json!({
        "name": args.template,
        "language": {"code": args.language},
        "components": components,
    });
    ("template", template)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;
    use crate::cli::{self, Cli, Command};

    fn body(words: &[&str]) -> Value {
        let words = ["waypost", "send"].iter().chain(words);
        let matches = cli::command().try_get_matches_from(words).unwrap();
        match Cli::from_arg_matches(&matches).unwrap().command {
            Some(Command::Send(args)) => message(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_has_metas_form_with_number_and_receiver() {
        for (words, wanted) in [
            (
                &["--to", "15550001111", "--text", "Hi", "--number", "n-1"][..],
                json!({"number": "n-1", "to": "15550001111", "type": "text", "text": {"body": "Hi"}}),
            ),
            (
                &["--customer", "c-1", "--image", "https://x/a.jpg", "--caption", "A"],
                json!({
                    "customer_id": "c-1",
                    "type": "image", "image": {"link": "https://x/a.jpg", "caption": "A"}
                }),
            ),
            (
                &[
                    "--to",
                    "1",
                    "--template",
                    "t",
                    "--header-image",
                    "https://x/a.jpg",
                    "--param",
                    "a",
                    "--param",
                    "b",
                    "--reference",
                    "r",
                ],
                json!({
                    "to": "1", "biz_opaque_callback_data": "r", "type": "template",
                    "template": {"name": "t", "language": {"code": "en_US"}, "components": [
                        {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://x/a.jpg"}}]},
                        {"type": "body", "parameters": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
                    ]}
                }),
            ),
        ] {
            assert_eq!(body(words), wanted);
        }
    }

    #[test]
    fn one_receiver_and_one_content_are_wanted() {
        for words in [
            &["--text", "x"][..],
            &["--to", "1"],
            &["--to", "1", "--customer", "c", "--text", "x"],
            &["--to", "1", "--text", "x", "--image", "https://x"],
            &["--to", "1", "--text", "x", "--caption", "x"],
            &["--to", "1", "--text", "x", "--param", "x"],
        ] {
            let words = ["waypost", "send"].iter().chain(words);
            let error = cli::command().try_get_matches_from(words.clone()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
        }
    }
}

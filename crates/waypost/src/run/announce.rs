//! What a start prints: where everything is, and what to try next. No key is printed: the commands
//! source `demo.env`.

use std::path::Path;
use std::time::Duration;

use crate::data_dir::{DEMO_ENV, Variables};

use super::demo::PICTURE;

/// What there is to tell.
pub(super) struct Started<'a> {
    pub(super) gateway: &'a str,
    pub(super) sandbox: Option<&'a str>,
    pub(super) upstream: &'a str,
    pub(super) data_dir: &'a Path,
    pub(super) demo: Option<&'a Variables>,
    pub(super) took: Duration,
}

/// Prints it.
#[allow(clippy::print_stdout, reason = "the command line speaks to the terminal")]
pub(super) fn announce(started: &Started<'_>) {
    print!("{}", text(started));
}

fn text(started: &Started<'_>) -> String {
    let mut text = format!(
        "\nWaypost {} is ready ({} ms)\n\n  Gateway    {}\n  API page   {}/docs\n",
        env!("CARGO_PKG_VERSION"),
        started.took.as_millis(),
        started.gateway,
        started.gateway,
    );
    if let Some(sandbox) = started.sandbox {
        text.push_str(&format!("  Handset    {sandbox}/\n"));
    }
    text.push_str(&format!("  Upstream   {}\n", started.upstream));
    text.push_str(&format!("  Data       {}\n", started.data_dir.display()));
    if let Some(demo) = started.demo {
        text.push_str(&demo_text(started, demo));
    }
    text
}

fn demo_text(started: &Started<'_>, demo: &Variables) -> String {
    let value = |name: &str| demo.get(name).map_or("", String::as_str);
    let env = shell_path(&started.data_dir.join(DEMO_ENV));
    let picture = shell_path(&started.data_dir.join(PICTURE));
    let open = match started.sandbox {
        Some(sandbox) => format!("Open {sandbox}/ and paste"),
        None => "Paste".to_owned(),
    };
    format!(
        "\n  Demo       organisation {}, user {}, customer {} (+{})\n\n\
         {open} one of these into another terminal:\n\n\
         # a text\n{}\n\n# a picture\n{}\n\n# a template to all customers of the organisation\n{}\n\n",
        value("WAYPOST_ORG_ID"),
        value("WAYPOST_USER_ID"),
        value("WAYPOST_CUSTOMER_ID"),
        value("WAYPOST_CUSTOMER_PHONE"),
        text_command(&env),
        picture_command(&env, &picture),
        template_command(&env, &picture),
    )
}

const IDS: &str = r#""sessionId": "first-steps", "customerId": "'$WAYPOST_CUSTOMER_ID'", "userId": "'$WAYPOST_USER_ID'", "orgId": "'$WAYPOST_ORG_ID'""#;

fn text_command(env: &str) -> String {
    format!(
        r#". {env} && curl "$WAYPOST_URL/whatsapp/messages/send" \
  -H "X-API-KEY: $WAYPOST_API_KEY" -H 'Content-Type: application/json' \
  --data '{{"message": {{"type": "text", "text": {{"body": "Hello from Waypost"}}}}, {IDS}}}'"#
    )
}

fn picture_command(env: &str, picture: &str) -> String {
    format!(
        r#". {env} && curl "$WAYPOST_URL/whatsapp/messages/send" \
  -H "X-API-KEY: $WAYPOST_API_KEY" -H 'Content-Type: application/json' \
  --data '{{"message": {{"type": "image", "image": {{"caption": "A waypost", "file": {{"name": "waypost.png",
    "type": "image/png", "displayType": "IMAGE", "extension": "png", "data": "'"$(base64 < {picture} | tr -d '\n')"'"}}}}}}, {IDS}}}'"#
    )
}

fn template_command(env: &str, picture: &str) -> String {
    format!(
        r#". {env} && MEDIA_ID=$(curl -s "$WAYPOST_URL/whatsapp/uploads/media_upload" -H "X-API-KEY: $WAYPOST_API_KEY" \
    -F "orgId=$WAYPOST_ORG_ID" -F type=image/png -F file=@{picture} | tr -dc 0-9) && \
  curl "$WAYPOST_URL/whatsapp/template/send" \
  -H "X-API-KEY: $WAYPOST_API_KEY" -H 'Content-Type: application/json' \
  --data '{{"templateName": "order_update", "sessionId": "first-steps", "userId": "'$WAYPOST_USER_ID'", "orgId": "'$WAYPOST_ORG_ID'",
    "components": [{{"type": "header", "parameters": [{{"type": "image", "image": {{"id": "'$MEDIA_ID'"}}}}]}},
      {{"type": "body", "parameters": [{{"type": "text", "text": "dear reader"}}, {{"type": "text", "text": "A-1001"}}]}}]}}'"#
    )
}

/// A path as a shell takes it: with a slash in it, quoted where it must be.
fn shell_path(path: &Path) -> String {
    let text = path.display().to_string();
    let text = if text.contains('/') { text } else { format!("./{text}") };
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./".contains(char);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_the_shell() {
        for (path, shell) in [
            ("./waypost-data/demo.env", "./waypost-data/demo.env"),
            ("demo.env", "./demo.env"),
            ("/tmp/my data/demo.env", "'/tmp/my data/demo.env'"),
            ("/tmp/o'neil/demo.env", r"'/tmp/o'\''neil/demo.env'"),
        ] {
            assert_eq!(shell_path(Path::new(path)), shell);
        }
    }

    #[test]
    fn no_key_is_printed() {
        let demo = Variables::from([
            ("WAYPOST_API_KEY".to_owned(), "wp_test_canary".to_owned()),
            ("WAYPOST_ORG_ID".to_owned(), "demo-org".to_owned()),
        ]);
        let text = text(&Started {
            gateway: "http://127.0.0.1:8080",
            sandbox: Some("http://127.0.0.1:8081"),
            upstream: "sandbox",
            data_dir: Path::new("./waypost-data"),
            demo: Some(&demo),
            took: Duration::from_millis(42),
        });
        assert!(text.contains("demo-org"));
        assert!(!text.contains("canary"));
    }
}

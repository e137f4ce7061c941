//! Tests of the configuration, from files, variables and flags to what holds.

use std::ffi::OsString;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::*;

/// Reads a configuration from a file's text, variables and flags (a flag's value after a blank).
fn read(file: &str, variables: &[(&str, &str)], flags: &[&'static str]) -> Result<Loaded, Faults> {
    let folder = tempfile::tempdir().unwrap();
    load(&inputs(folder.path(), file, variables, flags), Purpose::Gateway)
}

fn inputs(folder: &Path, file: &str, variables: &[(&str, &str)], flags: &[&'static str]) -> Inputs {
    let path = folder.join("waypost.toml");
    std::fs::write(&path, file).unwrap();
    let flag = |text: &&'static str| match text.split_once(' ') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (*text, None),
    };
    let variable = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    Inputs {
        file: Some(path),
        flags: flags.iter().map(flag).collect(),
        environment: variables.iter().map(variable).collect(),
    }
}

fn row(loaded: &Loaded, key: &str) -> (Json, String) {
    let row = loaded.rows.iter().find(|row| row.setting == key).unwrap();
    let source = if row.source.ends_with("waypost.toml") { "file" } else { &row.source };
    (row.value.clone(), source.to_owned())
}

fn fault_lines(found: Result<Loaded, Faults>) -> Vec<String> {
    let faults = found.err().map(|found| found.faults).unwrap_or_default();
    faults.iter().map(|fault| format!("{}: {}", fault.setting, fault.problem)).collect()
}

/// What a real upstream needs.
const REAL: &[(&str, &str)] = &[
    ("WAYPOST_PUBLIC_URL", "https://wa.example.com"),
    ("WAYPOST_WEBHOOK__APP_SECRET", "0123456789abcdef"),
];

#[test]
fn without_any_setting_the_sandbox_and_the_demo_are_on() {
    let loaded = read("", &[], &[]).unwrap();
    let config = &loaded.config;
    assert_eq!(config.upstream.target, UpstreamTarget::Sandbox);
    assert_eq!(config.sandbox_listen, Some("127.0.0.1:8081".parse().unwrap()));
    assert_eq!(config.demo, Demo::OnEmptyFolder);
    assert!(loaded.warnings.is_empty());
    for (key, value) in [
        ("listen", json!("127.0.0.1:8080")),
        ("data_dir", json!("./waypost-data")),
        ("database_url", json!("sqlite:./waypost-data/waypost.db")),
        ("public_url", json!("http://127.0.0.1:8080")),
        ("tls.cert_file", Json::Null),
        ("trusted_proxies", json!([])),
        ("admin_key", Json::Null),
        ("master_key_file", json!("./waypost-data/master.key")),
        ("sandbox.enabled", json!(true)),
        ("sandbox.listen", json!("127.0.0.1:8081")),
        ("upstream.base_url", json!("http://127.0.0.1:8081")),
        ("upstream.access_token", Json::Null),
        ("upstream.version", json!("v23.0")),
        ("upstream.app_id", Json::Null),
        ("webhook.verify_token", Json::Null),
        ("webhook.app_secret", Json::Null),
        ("egress.allow_networks", json!([])),
        ("egress.allow_http_callbacks", json!(false)),
        ("egress.allow_http_links", json!(true)),
        ("demo", json!(true)),
    ] {
        assert_eq!(row(&loaded, key), (value, "default".to_owned()), "{key}");
    }
}

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let file = r#"listen = "127.0.0.1:1""#;
    let variable = ("WAYPOST_LISTEN", "127.0.0.1:2");
    for (file, variables, flags, wanted, source) in [
        ("", &[][..], &[][..], "127.0.0.1:8080", "default"),
        (file, &[], &[], "127.0.0.1:1", "file"),
        (file, &[variable], &[], "127.0.0.1:2", "WAYPOST_LISTEN"),
        (file, &[variable], &["--listen 127.0.0.1:3"], "127.0.0.1:3", "--listen"),
        (file, &[], &["--listen 127.0.0.1:3"], "127.0.0.1:3", "--listen"),
        (file, &[("WAYPOST_LISTEN", "")], &[], "127.0.0.1:1", "file"),
    ] {
        let loaded = read(file, variables, flags).unwrap();
        assert_eq!(row(&loaded, "listen"), (json!(wanted), source.to_owned()));
        assert_eq!(loaded.config.listen, wanted.parse().unwrap());
    }
}

#[test]
fn every_setting_can_be_given_in_the_file_and_by_its_variable() {
    let in_file = r#"
        listen = "[::1]:9000"
        data_dir = "/srv/waypost"
        database_url = "sqlite:///srv/db/w.db"
        public_url = "https://wa.example.com/"
        trusted_proxies = ["10.0.0.0/8", "192.0.2.1"]
        admin_key = "an-admin-key-of-some-length"
        master_key_file = "/run/master.key"
        demo = true
        [tls]
        cert_file = "/tls/cert.pem"
        key_file = "/tls/key.pem"
        [sandbox]
        enabled = true
        listen = "127.0.0.1:9001"
        [upstream]
        base_url = "https://graph.example.com"
        access_token = "a-token"
        version = "v25.0"
        app_id = "42"
        [webhook]
        verify_token = "a-word"
        app_secret = "a-secret"
        [egress]
        allow_networks = ["192.168.0.0/16"]
        allow_http_callbacks = true
        allow_http_links = false
    "#;
    let from_file = read(in_file, &[], &[]).unwrap();
    let table: toml::Table = in_file.parse().unwrap();
    let variables: Vec<(String, String)> = SETTINGS
        .iter()
        .map(|setting| {
            let value = setting.key.split('.').fold(None, |at: Option<&toml::Value>, name| {
                Some(at.map_or_else(|| &table[name], |section| &section[name]))
            });
            let text = match value.unwrap() {
                toml::Value::String(text) => text.clone(),
                toml::Value::Array(list) => {
                    list.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(", ")
                }
                other => other.to_string(),
            };
            (setting.variable(), text)
        })
        .collect();
    let pairs: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let from_variables = read("", &pairs, &[]).unwrap();
    assert_eq!(format!("{:?}", from_file.config), format!("{:?}", from_variables.config));
    let config = from_variables.config;
    assert_eq!(config.database_file, Path::new("/srv/db/w.db"));
    assert_eq!(config.public_host().as_deref(), Some("wa.example.com"));
    assert_eq!(config.webhook_app_secret.unwrap().expose(), "a-secret");
    assert_eq!(config.trusted_proxies[1].to_string(), "192.0.2.1/32");
    for row in &from_variables.rows {
        assert!(row.source.starts_with("WAYPOST_"), "{row:?}");
        let in_the_file = from_file.rows.iter().find(|each| each.setting == row.setting).unwrap();
        assert_eq!(in_the_file.value, row.value);
    }
}

/// Callers' addresses are compared in their IPv4 form.
#[test]
fn networks_of_ipv4_written_as_ipv6_are_those_of_ipv4() {
    for (written, meant) in [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("fd00::/8", "fd00::/8"),
        ("::/0", "::/0"),
    ] {
        let variables =
            [("WAYPOST_TRUSTED_PROXIES", written), ("WAYPOST_EGRESS__ALLOW_NETWORKS", written)];
        let config = read("", &variables, &[]).unwrap().config;
        for networks in [config.trusted_proxies, config.egress.allow_networks] {
            assert_eq!(networks.iter().map(ToString::to_string).collect::<Vec<_>>(), [meant]);
        }
    }
}

#[test]
fn all_faults_are_told_at_once_with_name_and_source() {
    let file = r#"
        listen = 8080
        lisen = "127.0.0.1:1"
        webhook = "x"
        trusted_proxies = "10.0.0.0/8"
        [egress]
        allow_http_links = "no"
        allow_everything = true
        [mystery]
        x = 1
    "#;
    let variables = [
        ("WAYPOST_PUBLIC_URL", "wa.example.com"),
        ("WAYPOST_UPSTREAM__VERSION", "23"),
        ("WAYPOST_EGRESS__ALLOW_NETWORKS", "10.0.0.0/8, tomorrow"),
        ("WAYPOST_DATABASE_URL", "postgres://me:hunter2@db/x"),
        ("WAYPOST_TLS__CERT_FILE", "cert.pem"),
        ("WAYPOST_ADMIN_KEY", "two words"),
    ];
    let found = read(file, &variables, &["--no-sandbox", "--sandbox-listen nowhere"]);
    let faults = found.err().unwrap().faults;
    let told: Vec<_> = faults
        .iter()
        .map(|fault| {
            let source = fault.source.to_string();
            let source = if source.ends_with(".toml") { "file".to_owned() } else { source };
            (fault.setting.clone(), source)
        })
        .collect();
    let mut wanted = vec![
        ("listen", "file"),
        ("lisen", "file"),
        ("webhook", "file"),
        ("trusted_proxies", "file"),
        ("egress.allow_http_links", "file"),
        ("egress.allow_everything", "file"),
        ("mystery", "file"),
        ("public_url", "WAYPOST_PUBLIC_URL"),
        ("upstream.version", "WAYPOST_UPSTREAM__VERSION"),
        ("egress.allow_networks", "WAYPOST_EGRESS__ALLOW_NETWORKS"),
        ("database_url", "WAYPOST_DATABASE_URL"),
        ("admin_key", "WAYPOST_ADMIN_KEY"),
        ("sandbox.listen", "--sandbox-listen"),
        ("tls.key_file", "default"),
        ("webhook.app_secret", "default"),
    ];
    wanted.sort_unstable();
    let mut told: Vec<_> = told.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    told.sort_unstable();
    assert_eq!(told, wanted);
    let text = format!("{faults:?}");
    assert!(!text.contains("hunter2") && !text.contains("two words"), "{text}");
}

#[test]
fn a_real_upstream_needs_an_https_address_and_the_app_secret() {
    let token = ("WAYPOST_UPSTREAM__ACCESS_TOKEN", "a-token");
    let base = ("WAYPOST_UPSTREAM__BASE_URL", "https://graph.example.com");
    let http = ("WAYPOST_PUBLIC_URL", "http://wa.example.com");
    let (address, secret) = (REAL[0], REAL[1]);
    let sandbox = ("WAYPOST_SANDBOX__ENABLED", "true");
    for (variables, flags, at_fault) in [
        (&[][..], &["--no-sandbox"][..], &["public_url", "webhook.app_secret"][..]),
        (&[token], &[], &["public_url", "webhook.app_secret"]),
        (&[base], &[], &["public_url", "webhook.app_secret"]),
        (&[base, sandbox], &[], &["public_url", "webhook.app_secret"]),
        (&[token, address], &[], &["webhook.app_secret"]),
        (&[token, secret], &[], &["public_url"]),
        (&[token, secret, http], &[], &["public_url"]),
        (&[token, secret, address], &[], &[]),
        (&[secret, address], &["--no-sandbox"], &[]),
        (&[secret, address, base], &[], &[]),
        (&[token, sandbox], &[], &[]),
        (&[http], &[], &[]),
    ] {
        let lines = fault_lines(read("", variables, flags));
        let named: Vec<_> = lines.iter().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(named, at_fault, "{variables:?} {flags:?}");
    }
}

#[test]
fn what_is_configured_decides_the_upstream_the_sandbox_and_the_demo() {
    let token = ("WAYPOST_UPSTREAM__ACCESS_TOKEN", "a-token");
    let base = ("WAYPOST_UPSTREAM__BASE_URL", "https://graph.example.com");
    let on = ("WAYPOST_SANDBOX__ENABLED", "true");
    let off = ("WAYPOST_DEMO", "false");
    let (sandbox, meta, other) =
        ("http://127.0.0.1:8081", META_BASE_URL, "https://graph.example.com");
    for (variables, flags, upstream, sandbox_runs, demo) in [
        (&[][..], &[][..], sandbox, true, Demo::OnEmptyFolder),
        (&[off], &[], sandbox, true, Demo::Off),
        (&[], &["--demo"], sandbox, true, Demo::Forced),
        (&[], &["--no-sandbox"], meta, false, Demo::Off),
        (&[], &["--no-sandbox", "--demo"], meta, false, Demo::Forced),
        (&[token], &[], meta, false, Demo::Off),
        (&[base], &[], other, false, Demo::Off),
        (&[token, on], &[], sandbox, true, Demo::OnEmptyFolder),
        (&[base, on], &[], other, true, Demo::Off),
        (&[on], &["--no-sandbox"], meta, false, Demo::Off),
    ] {
        let variables = [variables, REAL].concat();
        let config = read("", &variables, flags).unwrap().config;
        let at = config.upstream_base_url("127.0.0.1:8081".parse().unwrap());
        assert_eq!(at, upstream, "{variables:?} {flags:?}");
        assert_eq!(config.sandbox_listen.is_some(), sandbox_runs, "{variables:?} {flags:?}");
        assert_eq!(config.demo, demo, "{variables:?} {flags:?}");
    }
}

#[test]
fn each_rule_names_the_setting_and_the_remedy() {
    for (file, wanted) in [
        (r#"database_url = "postgres://db/x""#, "database_url: PostgreSQL is not supported by"),
        (r#"database_url = "waypost.db""#, "database_url: must be sqlite:PATH"),
        (r#"data_dir = """#, "data_dir: must not be empty"),
        (r#"listen = "localhost""#, "listen: `localhost` is no IP address with a port"),
        (r#"public_url = "ftp://x""#, "public_url: `ftp://x` is not an address such as"),
        (r#"public_url = "https://a@x""#, "public_url: must hold no user name"),
        (r#"public_url = "https://x/?a""#, "public_url: `https://x/?a` must end before any `?`"),
        (r#"admin_key = """#, "admin_key: must not be empty"),
        ("demo = 1", "demo: must be true or false without quotes, not of type integer"),
        ("trusted_proxies = [1]", "trusted_proxies: must hold networks in quotes"),
        (
            r#"trusted_proxies = ["300.1.1.1/8", "192.0.2.1", "10.0.0.0/33"]"#,
            "trusted_proxies: `300.1.1.1/8` is no network such as 10.0.0.0/8 or fd00::/8; \
             `10.0.0.0/33` is no network",
        ),
        ("[tls]\ncert_file = \"c\"", "tls.key_file: must be set too, because tls.cert_file is"),
        ("[tls]\nkey_file = \"k\"", "tls.cert_file: must be set too, because tls.key_file is"),
        ("[sandbox]\nlisten = \"127.0.0.1:8080\"", "sandbox.listen: 127.0.0.1:8080 is taken"),
        ("[sandbox]\nlisten = \"0.0.0.0:8080\"", "sandbox.listen: 0.0.0.0:8080 is taken"),
        ("[upstream]\nversion = \"23.0\"", "upstream.version: `23.0` is no version such as"),
        ("surprise = 1", "surprise: there is no setting of this name"),
        ("egress = true", "egress: is a section: write [egress]"),
    ] {
        let lines = fault_lines(read(file, &[], &[]));
        assert_eq!(lines.len(), 1, "{file}: {lines:?}");
        assert!(lines[0].starts_with(wanted), "{file}: {lines:?}");
    }
}

#[test]
fn every_fault_of_the_certificate_s_files_is_told_before_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = "surprise = 1\n[tls]\ncert_file = \"/nowhere/c\"\nkey_file = \"/nowhere/k\"";
    let inputs = inputs(folder.path(), file, &[], &[]);
    let lines = fault_lines(load(&inputs, Purpose::Start));
    for wanted in [
        "surprise: there is no setting",
        "tls.cert_file: cannot read /nowhere/c",
        "tls.key_file: cannot read /nowhere/k",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(wanted)), "{wanted}: {lines:?}");
    }
    assert_eq!(fault_lines(load(&inputs, Purpose::Gateway)).len(), 1, "only a start reads them");
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_a_fault_that_quotes_no_secret() {
    let lines = fault_lines(read("demo = true\nadmin_key = hunter2", &[], &["--listen nowhere"]));
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("configuration file: line 2: is not TOML"), "{lines:?}");
    assert!(!lines[0].contains("hunter2"));

    let missing = || PathBuf::from("/nowhere/waypost.toml");
    let by_flag = Inputs { file: Some(missing()), ..Inputs::default() };
    let by_variable = Inputs {
        environment: vec![("WAYPOST_CONFIG".into(), missing().into())],
        ..Inputs::default()
    };
    for inputs in [by_flag, by_variable] {
        let lines = fault_lines(load(&inputs, Purpose::Gateway));
        assert!(lines[0].starts_with("configuration file: cannot be read"), "{lines:?}");
    }
    assert!(load(&Inputs::default(), Purpose::Gateway).is_ok(), "no file is wanted by default");
}

#[test]
fn unknown_variables_are_warnings_and_clients_variables_are_not() {
    let variables = [
        ("WAYPOST_LISEN", "x"),
        ("WAYPOST_CONFIG", ""),
        ("WAYPOST_LOG", "info"),
        ("WAYPOST_URL", "x"),
        ("WAYPOST_API_KEY", "x"),
        ("WAYPOST_ORG_ID", "x"),
        ("WAYPOST_USER_ID", "x"),
        ("WAYPOST_CUSTOMER_ID", "x"),
        ("WAYPOST_CUSTOMER_PHONE", "x"),
        ("WAYPOST_SENDER_PHONE", "x"),
        ("WAYPOST_PHONE_NUMBER_ID", "x"),
        ("WAYPOST_APP_ID", "x"),
        ("WAYPOST_SOURCE_ID", "x"),
        ("WAYPOST_JOIN_CODE", "x"),
        ("WAYPOST_WEBHOOK_VERIFY_TOKEN", "x"),
        ("WAYPOST_WEBHOOK_APP_SECRET", "x"),
        ("WAYPOST_ADMIN_KEY", "a-key-of-sufficient-length"),
        ("PATH", "x"),
    ];
    let loaded = read("", &variables, &[]).unwrap();
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].starts_with("WAYPOST_LISEN: "));
}

#[test]
fn what_is_risky_is_a_warning() {
    let real = |extra: &[(&'static str, &'static str)]| [REAL, extra].concat();
    for (variables, begins) in [
        (vec![("WAYPOST_SANDBOX__LISTEN", "0.0.0.0:1")], "sandbox.listen: "),
        (vec![("WAYPOST_ADMIN_KEY", "short")], "admin_key: "),
        (real(&[("WAYPOST_UPSTREAM__BASE_URL", "http://10.0.0.1")]), "upstream.base_url: "),
        (
            vec![("WAYPOST_UPSTREAM__ACCESS_TOKEN", "t"), ("WAYPOST_SANDBOX__ENABLED", "true")],
            "upstream.access_token: ",
        ),
        (
            real(&[
                ("WAYPOST_UPSTREAM__BASE_URL", "http://127.0.0.1:1"),
                ("WAYPOST_SANDBOX__ENABLED", "true"),
            ]),
            "sandbox.enabled: ",
        ),
    ] {
        let warnings = read("", &variables, &[]).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{variables:?}: {warnings:?}");
        assert!(warnings[0].starts_with(begins), "{warnings:?}");
    }
}

#[test]
fn a_client_or_a_sandbox_alone_needs_nothing_of_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("WAYPOST_UPSTREAM__ACCESS_TOKEN", "a-token")];
    let inputs = inputs(folder.path(), "", &variables, &[]);
    assert!(load(&inputs, Purpose::Gateway).is_err());
    assert!(load(&inputs, Purpose::Client).is_ok());
    let alone = load(&inputs, Purpose::Sandbox).ok().unwrap().config;
    assert_eq!(alone.sandbox_listen, Some("127.0.0.1:8081".parse().unwrap()));
}

#[test]
fn the_sandboxs_webhook_address_is_judged_with_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let good = inputs(folder.path(), "", &[], &[]);
    for url in [None, Some("http://127.0.0.1:1/hook?a=b"), Some("https://me:word@crm.example.com")]
    {
        assert!(load_for_sandbox(&good, url).is_ok(), "{url:?}");
    }
    let bad = inputs(folder.path(), "", &[], &["--sandbox-listen nowhere"]);
    for url in ["not", "ftp://x", "", "/webhook", "ftp://me:hunter2@x"] {
        let lines = fault_lines(load_for_sandbox(&good, Some(url)));
        assert_eq!(lines.len(), 1, "{url}: {lines:?}");
        assert!(lines[0].starts_with("webhook address: must be an http or https"), "{lines:?}");
        assert!(!lines[0].contains("hunter2"), "{lines:?}");
        let all = load_for_sandbox(&bad, Some(url)).err().unwrap().faults;
        let sources: Vec<_> = all.iter().map(|fault| fault.source.to_string()).collect();
        assert_eq!(sources, ["--sandbox-listen", "--webhook-url"]);
    }
}

#[test]
fn secrets_are_never_shown() {
    let canary = "canary-0123456789";
    let secrets: Vec<_> =
        SETTINGS.iter().filter(|setting| setting.kind == value::Kind::Secret).collect();
    assert_eq!(secrets.len(), 4);
    let names: Vec<_> = secrets.iter().map(|setting| setting.variable()).collect();
    let variables: Vec<_> =
        names.iter().map(|name| (name.as_str(), canary)).chain([REAL[0]]).collect();
    let loaded = read("", &variables, &[]).unwrap();
    for setting in secrets {
        assert_eq!(row(&loaded, setting.key).0, json!("(secret)"));
    }
    let shown = format!("{:?} {:?} {:?}", loaded.config, loaded.rows, loaded.warnings);
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn addresses_for_people_never_name_the_address_that_means_all() {
    let files = || TlsFiles { cert_file: "c".into(), key_file: "k".into() };
    for (listen, tls, url) in [
        ("0.0.0.0:80", false, "http://127.0.0.1:80"),
        ("[::]:80", false, "http://[::1]:80"),
        ("192.0.2.1:80", true, "https://192.0.2.1:80"),
    ] {
        let mut config = read("", &[], &[]).unwrap().config;
        config.tls = tls.then(files);
        assert_eq!(config.public_url(listen.parse().unwrap()), url);
        assert_eq!(config.local_url(listen.parse().unwrap()), url);
    }
    let mut config = read("", &[REAL[0]], &[]).unwrap().config;
    assert_eq!(config.local_url(config.listen), "http://127.0.0.1:8080");
    config.tls = Some(files());
    assert_eq!(config.local_url(config.listen), "https://wa.example.com");
    let config = read(r#"public_url = "https://wa.example.com/a/""#, &[], &[]).unwrap().config;
    assert_eq!(config.public_url(config.listen), "https://wa.example.com/a");
}

/// The file is written by `waypost config defaults > config/default.toml`.
#[test]
fn the_documented_defaults_are_those_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/default.toml");
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        text,
        default_toml(),
        "write it anew: waypost config defaults > config/default.toml"
    );
}

#[test]
fn the_documented_defaults_and_examples_are_a_configuration() {
    let defaults = default_toml();
    let loaded = read(&defaults, &[], &[]).unwrap();
    assert_eq!(format!("{:?}", loaded.config), format!("{:?}", read("", &[], &[]).unwrap().config));
    let examples: Vec<_> = defaults
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') && !rest.is_empty() => rest.replace('…', "abcdef"),
            _ => line.to_owned(),
        })
        .collect();
    let read = read(&examples.join("\n"), &[], &[]);
    assert_eq!(fault_lines(read), Vec::<String>::new());
}

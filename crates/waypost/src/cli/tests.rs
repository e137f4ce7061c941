//! Tests of the command line's form; none of them runs a command.

use super::*;

fn each_command(command: &clap::Command, path: &str, visit: &mut impl FnMut(&str, &clap::Command)) {
    visit(path, command);
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        each_command(sub, &format!("{path} {}", sub.get_name()), visit);
    }
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn every_command_shows_an_example_that_can_be_typed() {
    let mut examples = 0;
    each_command(&command(), "waypost", &mut |path, command| {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines: Vec<_> = after.lines().filter(|line| line.contains("waypost ")).collect();
        assert!(after.starts_with("Example"), "{path}: no example");
        assert!(lines.iter().any(|line| line.contains(path)), "{path}: example of another command");
        for line in lines.iter().filter(|line| line.starts_with("  waypost ")) {
            let typed = line.trim().split(['|', '<', '>']).next().unwrap_or_default();
            let words = shell_words(typed.split("   ").next().unwrap_or_default());
            if words.iter().any(|word| word == "--help") {
                continue;
            }
            if let Err(error) = super::command().try_get_matches_from(words) {
                panic!("{path}: `{line}`: {error}");
            }
            examples += 1;
        }
    });
    assert!(examples > 30, "only {examples} examples were tried");
}

/// Words as a shell splits them, for examples that quote with `'` only.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for char in line.trim().chars() {
        match char {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_that_prints_data_takes_json() {
    let silent = ["serve", "sandbox", "defaults"];
    each_command(&command(), "waypost", &mut |path, command| {
        let is_leaf = command.get_subcommands().next().is_none();
        let prints = !silent.contains(&command.get_name());
        if is_leaf && prints {
            let mut built = super::command();
            built.build();
            let leaf = path.split(' ').skip(1).fold(&built, |at, name| {
                at.find_subcommand(name).expect("the path was walked before")
            });
            let json = leaf.get_arguments().any(|arg| arg.get_id() == "json");
            assert!(json, "{path}: no --json");
        }
    });
}

#[test]
fn every_flag_of_the_table_is_on_the_command_line_and_documented() {
    let command = command();
    for setting in SETTINGS {
        let Some(flag) = setting.flag.name() else { continue };
        let long = flag.trim_start_matches("--");
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(long));
        let help = arg.unwrap_or_else(|| panic!("{flag} is missing")).get_help();
        assert!(help.unwrap().to_string().contains(&setting.variable()), "{flag}");
    }
}

#[test]
fn flags_reach_the_configuration_before_and_after_the_command() {
    for words in [
        &["waypost", "--listen", "[::]:1", "--no-sandbox", "serve"][..],
        &["waypost", "serve", "--no-sandbox", "--listen", "[::]:1"],
        &["waypost", "--no-sandbox", "--listen", "[::]:1"],
    ] {
        let cli = Cli::try_parse_from(words).unwrap();
        let inputs = cli.settings.inputs(Vec::new());
        assert_eq!(
            inputs.flags,
            [("--listen", Some("[::]:1".to_owned())), ("--no-sandbox", None)],
            "{words:?}"
        );
    }
}

#[test]
fn later_commands_are_not_listed() {
    assert!(command().find_subcommand("migrate").is_none());
}

#[test]
fn a_replay_of_what_is_not_said_names_every_choice() {
    for (typed, choices) in [
        ("webhooks replay crm", &["--dead", "--since", "--event"][..]),
        ("callbacks replay", &["--webhook", "--server", "--message", "--event", "--all"]),
    ] {
        let words = format!("waypost admin {typed}");
        let refused = command().try_get_matches_from(words.split(' ')).unwrap_err().to_string();
        let missing = refused.split("Usage:").next().unwrap();
        assert!(choices.iter().all(|choice| missing.contains(choice)), "{refused}");
    }
    for twice in [
        "webhooks replay crm --dead --event e",
        "webhooks replay crm --until 2030-01-31T00:00:00Z --dead",
        "callbacks replay --all --webhook crm",
        "callbacks replay --server https://a.example.com --webhook crm",
    ] {
        let words = format!("waypost admin {twice}");
        assert!(command().try_get_matches_from(words.split(' ')).is_err(), "{twice}");
    }
}

#[test]
fn a_mistake_in_usage_exits_with_2() {
    let error = command().try_get_matches_from(["waypost", "srve"]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

//! What the tests of several files here need.

use clap::Parser;
use serde_json::Value;

use super::options::Options;
use crate::cli::args::{Args, Command};
use crate::cli::exit::{Exit, Failure};

/// As the program reads its arguments; what clap refuses becomes a failure like ours.
pub(super) fn parse(arguments: &[&str]) -> Result<Options, Failure> {
    let args = Args::try_parse_from(["oneloop", "load"].iter().chain(arguments));
    let args = args.map_err(|error| Failure { exit: Exit::Usage, message: error.to_string() })?;
    let Command::Load(load) = args.command else { panic!("it loads") };
    Options::from_args(*load)
}

/// That docs/load-json.md names every field, at any depth.
pub(super) fn assert_documented(value: &Value) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/load-json.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    assert!(page.contains(&format!("`{name}`")), "docs/load-json.md has no `{name}`");
                    left.push(value);
                }
            }
            Value::Array(values) => left.extend(values),
            _ => {}
        }
    }
}

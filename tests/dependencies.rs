//! What others wrote: its licences, where it comes from, and the oldest Rust it needs, as deny.toml and Cargo.toml say.
//!
//! `cargo deny check` looks at more (advisories), and needs the net. This looks at every `cargo test`.

#![allow(clippy::unwrap_used, reason = "a test says with a panic what went wrong")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every package of the lock file's graph, features and targets all on: ours too.
fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args([
        "metadata",
        "--locked",
        "--offline",
        "--all-features",
        "--format-version=1",
    ]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().clone();
    assert!(packages.len() > 20, "only {} packages", packages.len());
    packages
}

fn deny() -> toml::Table {
    std::fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap()
}

fn texts<'a>(values: &'a toml::Value, of: impl Fn(&'a toml::Value) -> &'a toml::Value) -> Vec<&'a str> {
    values.as_array().unwrap().iter().map(|value| of(value).as_str().unwrap()).collect()
}

/// Whether an expression of SPDX can be satisfied. A bracket stands around alternatives only, in all there are.
fn is_allowed(licence: &str, allowed: &[&str]) -> bool {
    let any = |part: &str| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.replace('/', " OR ").split(" OR ").any(|one| allowed.contains(&one.trim()))
    };
    licence.split(" AND ").all(any)
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').take(2).map(|part| part.parse().unwrap()).collect()
}

#[test]
fn every_licence_is_one_that_deny_toml_allows() {
    let deny = deny();
    let allowed = texts(&deny["licenses"]["allow"], |value| value);
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(is_allowed(licence, &allowed), "{}: {licence}", package["name"]);
    }
    for (licence, expected) in [
        ("GPL-3.0", false),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND Zlib", true),
        ("GPL-3.0/MIT", true),
        ("none", false),
    ] {
        assert_eq!(is_allowed(licence, &allowed), expected, "{licence}");
    }
}

#[test]
fn nothing_comes_from_elsewhere_than_the_registry_and_nothing_is_banned() {
    let deny = deny();
    let banned = texts(&deny["bans"]["deny"], |value| &value["crate"]);
    for package in packages() {
        let (name, source) = (package["name"].as_str().unwrap(), package["source"].as_str());
        let from_registry = source.is_some_and(|source| source.starts_with("registry+"));
        assert!(from_registry || (source.is_none() && name == "oneloop"), "{name} comes from {source:?}");
        assert!(!banned.contains(&name), "{name} is banned by deny.toml");
    }
}

/// That our own code keeps to it is checked by clippy (incompatible_msrv) and by building with that Rust.
#[test]
fn no_dependency_needs_a_newer_rust_than_we_say() {
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));
    for package in packages() {
        if let Some(needs) = package["rust_version"].as_str() {
            assert!(version(needs) <= ours, "{} needs Rust {needs}", package["name"]);
        }
    }
    assert!(version("1.89.0") > ours && version("1.9") < ours);
}

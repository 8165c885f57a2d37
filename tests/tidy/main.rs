//! The rules of docs/architecture.md and of the style guide that a machine can check, checked.

mod layers;
mod rules;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use layers::Layers;
use source::Source;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn layers() -> Layers {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    Layers::parse(&text).unwrap_or_else(|error| panic!("docs/architecture.md: {error}"))
}

/// Every Rust file under src/.
fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(read(&path));
            }
        }
    }
    assert!(files.len() > 20, "only {} files found", files.len());
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn read(path: &PathBuf) -> Source {
    let name = path.strip_prefix(root().join("src")).expect("it is under src/");
    let name = name.to_str().expect("our own names").replace('\\', "/");
    Source::new(&name, &fs::read_to_string(path).expect("text"))
}

/// Fails with everything a rule found, so that one run shows all of it.
#[track_caller]
fn assert_all_keep(rule: impl Fn(&Source) -> Vec<String>) {
    let found: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn imports_go_down() {
    let layers = layers();
    assert_all_keep(|source| layers.violations(source));
}

#[test]
fn every_path_of_the_table_that_can_exist_does() {
    let sources = sources();
    for unit in layers().paths() {
        let known = sources.iter().any(|source| layers::starts_with(&source.module, unit));
        // Written before the code: the simulation comes with its own issue.
        assert!(known || unit.join("::") == "testing::sim", "nothing is in {}", unit.join("::"));
    }
}

#[test]
fn what_belongs_to_one_place_stays_there() {
    assert_all_keep(rules::misplaced);
}

#[test]
fn functions_are_short() {
    assert_all_keep(rules::long_functions);
}

#[test]
fn files_are_short() {
    for source in sources() {
        if source.own_lines() > rules::WANTED_FILE_LINES {
            println!("src/{} has {} lines before its tests", source.path, source.own_lines());
        }
    }
    assert_all_keep(rules::long_files);
}

/// Names of tests are sentences, so that no other code in backticks looks like one.
#[test]
fn every_test_that_the_reliability_page_names_exists() {
    let page = fs::read_to_string(root().join("docs/reliability.md")).expect("docs/reliability.md");
    let mut code = String::new();
    for folder in ["src", "tests"] {
        read_all(&root().join(folder), &mut code);
    }
    let names: Vec<&str> =
        page.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() >= 2).collect();
    let missing: Vec<&&str> = names
        .iter()
        .filter(|name| !name.chars().any(|c| c.is_ascii_uppercase() || " .-=".contains(c)))
        .filter(|name| !code.contains(&format!("fn {name}(")) && !code.contains(&format!(" {name}: ")))
        .collect();
    assert!(names.len() > 50, "only {} names found", names.len());
    assert!(missing.is_empty(), "docs/reliability.md names tests that do not exist: {missing:?}");
}

/// Every Rust file below.
fn read_all(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_all(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("text"));
        }
    }
}

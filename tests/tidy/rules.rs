//! Rules about one file at a time.

use crate::source::{Source, body_of, closing, is_word, words};

/// A function longer than this fails; the style guide asks for 40.
const MAX_FUNCTION_LINES: usize = 60;

/// A file longer than this before its tests fails.
const MAX_FILE_LINES: usize = 400;

/// What the style guide asks for.
pub(crate) const WANTED_FILE_LINES: usize = 300;

/// Words, and the places under src/ that may use them.
const PLACES: &[(&str, &[&str])] = &[
    ("mio", &["reactor/", "lab/"]),
    ("slab", &["reactor/slots.rs"]),
    ("println!", &["cli/"]),
    ("print!", &["cli/"]),
    ("eprintln!", &["cli/"]),
    ("eprint!", &["cli/"]),
    (
        "Instant::now",
        &["reactor/", "models/", "client/", "load/", "hold/", "cli/", "lab/", "audit/", "testing/"],
    ),
    (
        "SystemTime::now",
        &["reactor/", "models/", "client/", "load/", "hold/", "cli/", "lab/", "audit/", "testing/"],
    ),
];

/// Words used where they do not belong.
pub(crate) fn misplaced(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (word, places) in PLACES {
        if places.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        for at in words(&source.shipped, word) {
            let line = source.line_at(at);
            found.push(format!("src/{}:{line}: {word} belongs to {}", source.path, places.join(", ")));
        }
    }
    found
}

/// Functions that are too long, tests included.
pub(crate) fn long_functions(source: &Source) -> Vec<String> {
    let code = &source.code;
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let name = code[at + 2..].trim_start();
        let name = &name[..name.bytes().position(|byte| !is_word(byte)).unwrap_or(name.len())];
        // Without a name it is a type: `fn(u8) -> u8`.
        let Some(open) = body_of(code, at).filter(|_| !name.is_empty()) else { continue };
        let first = source.line_at(at);
        let lines = source.line_at(closing(code, open) - 1) - first + 1;
        if lines > MAX_FUNCTION_LINES {
            found.push(format!(
                "src/{}:{first}: {name} has {lines} lines, at most {MAX_FUNCTION_LINES}",
                source.path
            ));
        }
    }
    found
}

/// The file, if it is too long.
pub(crate) fn long_files(source: &Source) -> Vec<String> {
    let lines = source.own_lines();
    if lines <= MAX_FILE_LINES {
        return Vec::new();
    }
    vec![format!("src/{}: {lines} lines before its tests, at most {MAX_FILE_LINES}", source.path)]
}

#[test]
fn words_are_found_where_they_do_not_belong_only() {
    let found = |path: &str, text: &str| misplaced(&Source::new(path, text)).len();
    assert_eq!(found("kernel.rs", "use mio::Token;\nfn f() { println!(\"x\") }"), 2);
    assert_eq!(found("session/mod.rs", "let now = Instant::now();"), 1);
    assert_eq!(found("reactor/mod.rs", "use slab::Slab;"), 1);
    assert_eq!(found("kernel.rs", "// on mio\nuse crate::mio_kernel; const A: &str = \"mio println!\";"), 0);
    assert_eq!(found("session/mod.rs", "#[cfg(test)] mod tests { fn f() { Instant::now(); } }"), 0);
    assert_eq!(found("reactor/slots.rs", "use slab::Slab;"), 0);
    assert_eq!(found("cli/mod.rs", "println!()"), 0);
}

#[test]
fn a_function_of_61_lines_is_found_and_one_of_60_is_not() {
    let function = |lines: usize| {
        let body = "    let _ = (\"}\", '}'); // }\n".repeat(lines - 2);
        format!(
            "trait T {{ fn none(&self); }}\ntype F = fn(u8);\nfn long(a: [u8; 2]) -> [u8; 2] {{\n{body}}}\n"
        )
    };
    assert_eq!(long_functions(&Source::new("a.rs", &function(60))), [""; 0]);
    assert_eq!(
        long_functions(&Source::new("a.rs", &function(61))),
        ["src/a.rs:3: long has 61 lines, at most 60"]
    );
}

#[test]
fn a_file_is_measured_without_its_tests() {
    let source =
        |lines: usize| Source::new("a.rs", &format!("{}mod tests {{\n\n\n}}\n", "x;\n".repeat(lines)));
    assert_eq!(long_files(&source(400)).len(), 0);
    assert_eq!(long_files(&source(401)).len(), 1);
}

//! The layer table, and which imports it allows.

use crate::source::{Source, closing, is_word, module_of, words};

type Module = Vec<String>;

/// One row: paths that may know each other.
struct Unit {
    rank: u32,
    paths: Vec<Module>,
}

/// The table of docs/architecture.md.
pub(crate) struct Layers(Vec<Unit>);

impl Layers {
    /// Reads the rows `| rank | path... |` between the markers.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let table =
            text.split_once("<!-- layers -->").and_then(|(_, rest)| rest.split_once("<!-- /layers -->"));
        let (table, _) = table.ok_or("no <!-- layers --> and <!-- /layers -->")?;
        let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
        let units: Vec<Unit> = rows.map(parse_row).collect::<Result<_, _>>()?;
        if units.is_empty() { Err("the table is empty".to_owned()) } else { Ok(Self(units)) }
    }

    /// Every path named.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Module> {
        self.0.iter().flat_map(|unit| &unit.paths)
    }

    /// What is wrong with the imports of a file.
    pub(crate) fn violations(&self, source: &Source) -> Vec<String> {
        if source.module.is_empty() {
            return Vec::new();
        }
        let Some(own) = self.unit_of(&source.module) else {
            return vec![format!("src/{}: it is in no row of the layer table", source.path)];
        };
        let mut found = Vec::new();
        for (at, target) in imports(source) {
            let why = match self.unit_of(&target) {
                None if target.is_empty() => "names the whole crate; name the module".to_owned(),
                None => "is in no row of the layer table; name the module, not its re-export".to_owned(),
                Some(unit) if std::ptr::eq(unit, own) || unit.rank < own.rank => continue,
                Some(unit) => format!("has rank {}, this file {}", unit.rank, own.rank),
            };
            let line = source.line_at(at);
            found.push(format!("src/{}:{line}: crate::{} {why}", source.path, target.join("::")));
        }
        found
    }

    /// The unit with the longest path that leads to `module`.
    fn unit_of(&self, module: &[String]) -> Option<&Unit> {
        let fits = |path: &Module| if starts_with(module, path) { path.len() } else { 0 };
        let depth = |unit: &Unit| unit.paths.iter().map(fits).max().unwrap_or(0);
        self.0.iter().max_by_key(|unit| depth(unit)).filter(|unit| depth(unit) > 0)
    }
}

pub(crate) fn starts_with(module: &[String], path: &[String]) -> bool {
    module.starts_with(path)
}

fn parse_row(line: &str) -> Result<Unit, String> {
    let mut cells = line.trim_matches('|').split('|').map(str::trim);
    let (rank, paths) = (cells.next().unwrap_or(""), cells.next().unwrap_or(""));
    let rank = rank.parse().map_err(|_| format!("'{rank}' is no rank in: {line}"))?;
    let paths: Vec<Module> = paths.split_whitespace().map(|path| module_of(path.trim_matches('`'))).collect();
    if paths.is_empty() { Err(format!("no path in: {line}")) } else { Ok(Unit { rank, paths }) }
}

/// Every path of this crate that is named outside tests, absolute, and where.
fn imports(source: &Source) -> Vec<(usize, Module)> {
    let code = &source.shipped;
    let mut found = Vec::new();
    for at in words(code, "crate") {
        if code[at..].starts_with("crate::") && !code[..at].ends_with('$') {
            tails(code, at + "crate::".len(), &mut Vec::new(), &mut |path| found.push((at, path.to_vec())));
        }
    }
    for at in words(code, "super") {
        // Of `super::super::x` the first word counts for both.
        if !code[at..].starts_with("super::") || code[..at].ends_with("super::") {
            continue;
        }
        let count = code[at..].split("::").take_while(|part| *part == "super").count();
        let kept = source.module.len().saturating_sub(count);
        let mut base = source.module[..kept].to_vec();
        let from = at + count * "super::".len();
        tails(code, from, &mut base, &mut |path| found.push((at, path.to_vec())));
    }
    found
}

/// Calls `report` with `base` and each way on from `at`: one for `a::b`, two for `{a, b::c}`.
fn tails(code: &str, at: usize, base: &mut Module, report: &mut impl FnMut(&[String])) {
    let depth = base.len();
    let rest = code[at..].trim_start();
    let at = code.len() - rest.len();
    if rest.starts_with('{') {
        let end = closing(code, at) - 1;
        let mut item = at + 1;
        while item < end {
            tails(code, item, base, report);
            item = next_item(code, item, end);
        }
        return;
    }
    let len = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
    if len > 0 && &rest[..len] != "self" {
        base.push(rest[..len].to_owned());
    }
    if rest[len..].starts_with("::") && !rest[len..].starts_with("::<") {
        tails(code, at + len + 2, base, report);
    } else if len > 0 || rest.starts_with('*') {
        report(base);
    }
    base.truncate(depth);
}

/// The byte behind the comma that ends the item at `from`, or `end`.
fn next_item(code: &str, from: usize, end: usize) -> usize {
    let mut at = from;
    while at < end {
        match code.as_bytes()[at] {
            b',' => return at + 1,
            b'{' => at = closing(code, at),
            _ => at += 1,
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "text\n<!-- layers -->\n| rank | path |\n|---|---|\n| 0 | error.rs |\n| 0 | codec/ |\n\
        | 2 | a.rs b.rs |\n| 2 | c/ |\n| 3 | testing/ |\n| 5 | testing/sim/ |\n<!-- /layers -->\ntext";

    fn violations(path: &str, text: &str) -> Vec<String> {
        Layers::parse(TABLE).unwrap().violations(&Source::new(path, text))
    }

    #[test]
    fn imports_that_go_down_or_stay_at_home_are_fine() {
        for (path, text) in [
            ("a.rs", "use crate::error::Error; use crate::codec::{Frame, lines::{self, Lines}};"),
            ("a.rs", "use crate::b::B; fn f() -> crate::b::C { crate::error::x::<crate::codec::Y>() }"),
            ("c/x.rs", "use super::y::Z; use super::super::error; use self::q::R; use super::{a, b};"),
            (
                "c/mod.rs",
                "use self::x; // use crate::testing;\n/* crate::testing::X */ const A: &str = \"crate::c\";",
            ),
            ("c/mod.rs", "#[cfg(test)]\nmod tests { use crate::testing::Pair; }"),
            ("c/tests.rs", "use crate::testing::Pair;"),
            ("testing/sim/mod.rs", "use crate::testing::Pair; use super::Pair;"),
            ("lib.rs", "pub use crate::testing::Pair;"),
        ] {
            assert_eq!(violations(path, text), [""; 0], "{path}: {text}");
        }
    }

    #[test]
    fn imports_that_do_not_go_down_are_found() {
        for (path, text, expected) in [
            (
                "error.rs",
                "use crate::codec::Frame;",
                "src/error.rs:1: crate::codec::Frame has rank 0, this file 0",
            ),
            ("codec/x.rs", "\n\nuse crate::a::A;", "src/codec/x.rs:3: crate::a::A has rank 2, this file 0"),
            ("a.rs", "use crate::{error::E, c::{C, D}};", "crate::c::C has rank 2"),
            ("a.rs", "fn f(x: crate::c::C) {}", "crate::c::C has rank 2"),
            ("c/x.rs", "use super::super::testing::Pair;", "crate::testing::Pair has rank 3"),
            ("c/mod.rs", "use super::a;", "crate::a has rank 2"),
            ("testing/mod.rs", "use crate::testing::sim::Net;", "crate::testing::sim::Net has rank 5"),
            ("testing/x.rs", "pub use super::sim::Net;", "crate::testing::sim::Net has rank 5"),
            ("a.rs", "use crate::Error;", "crate::Error is in no row"),
            ("a.rs", "use crate::*;", "names the whole crate"),
            ("c/x.rs", "use super::super::*;", "names the whole crate"),
            ("a.rs", "use crate::c::*;", "crate::c has rank 2"),
            ("new.rs", "", "it is in no row"),
        ] {
            let found = violations(path, text);
            assert!(found.iter().any(|line| line.contains(expected)), "{path}: {text}: {found:?}");
        }
    }

    #[test]
    fn a_table_that_cannot_be_read_is_an_error() {
        for table in
            ["", "<!-- layers --><!-- /layers -->", "<!-- layers -->\n|r|p|\n|-|-|\n|x|a|\n<!-- /layers -->"]
        {
            assert!(Layers::parse(table).is_err(), "{table}");
        }
    }
}

//! Rust text reduced to what the rules look at: comments, strings and characters blanked, line by line the same.

/// One file under src/.
pub(crate) struct Source {
    /// Below src/, e.g. `reactor/mod.rs`.
    pub(crate) path: String,
    /// The module it is, e.g. `["reactor"]`; empty for lib.rs.
    pub(crate) module: Vec<String>,
    /// The text without comments and literals, the same lines.
    pub(crate) code: String,
    /// `code` without what is compiled for tests only.
    pub(crate) shipped: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = without_literals(text);
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let shipped = if is_test { String::new() } else { without_tests(&code) };
        Self { path: path.to_owned(), module: module_of(path), code, shipped }
    }

    /// Lines before the tests.
    pub(crate) fn own_lines(&self) -> usize {
        let tests = self.code.lines().position(|line| line.trim_start().starts_with("mod tests"));
        tests.unwrap_or_else(|| self.code.lines().count())
    }

    /// The number of the line, from 1, at a byte of the code.
    pub(crate) fn line_at(&self, at: usize) -> usize {
        1 + self.code[..at].matches('\n').count()
    }
}

/// The module a file under src/ is.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_end_matches('/').trim_end_matches(".rs");
    path.split('/').filter(|part| !matches!(*part, "" | "mod" | "lib")).map(str::to_owned).collect()
}

/// Whether a byte can be part of a name.
pub(crate) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where `word` stands by itself in `code`.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let end = at + word.len();
        (at == 0 || !is_word(bytes[at - 1])) && bytes.get(end).is_none_or(|byte| !is_word(*byte))
    })
}

/// The byte behind the bracket that closes the one at `open`.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The `{` that opens the body of the item at `from`, or `None` when a `;` ends it first.
pub(crate) fn body_of(code: &str, from: usize) -> Option<usize> {
    let bytes = code.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'{' => return Some(at),
            b';' => return None,
            b'(' | b'[' => at = closing(code, at),
            _ => at += 1,
        }
    }
    None
}

fn without_tests(code: &str) -> String {
    let mut shipped = code.to_owned();
    for attribute in ["#[cfg(test)]", "#[cfg(all(test"] {
        while let Some(from) = shipped.find(attribute) {
            let attribute_end = closing(&shipped, from + 1);
            let end = match body_of(&shipped, after_attributes(&shipped, attribute_end)) {
                // `use a::{b};` has a body of a kind, and a semicolon behind it.
                Some(open) => {
                    closing(&shipped, open) + usize::from(shipped[closing(&shipped, open)..].starts_with(';'))
                }
                None => shipped[attribute_end..].find(';').map_or(shipped.len(), |at| attribute_end + at + 1),
            };
            shipped = blank(&shipped, from, end);
        }
    }
    shipped
}

fn after_attributes(code: &str, mut at: usize) -> usize {
    loop {
        let rest = &code[at..];
        let next = at + rest.len() - rest.trim_start().len();
        if !code[next..].starts_with("#[") {
            return next;
        }
        at = closing(code, next + 1);
    }
}

/// Spaces instead of everything but line ends.
fn blank(text: &str, from: usize, to: usize) -> String {
    let gap: String = text[from..to].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
    [&text[..from], &gap, &text[to..]].concat()
}

/// Blanks comments, strings and characters. What is left has brackets only where they are code.
pub(crate) fn without_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let in_word = first.is_ascii() && is_word(first as u8) && before.is_ascii() && is_word(before as u8);
        let len = if in_word { None } else { literal(rest) };
        let taken = len.unwrap_or(first.len_utf8());
        for c in rest[..taken].chars() {
            let kept = c == '\n' || (len.is_none() && c.is_ascii());
            code.push(if kept { c } else { ' ' });
        }
        before = rest[..taken].chars().last().unwrap_or(' ');
        rest = &rest[taken..];
    }
    code
}

/// The length of the comment, string or character at the front of `text`, if there is one.
fn literal(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    if text.starts_with('\'') || text.starts_with("b'") {
        return character(text);
    }
    let prefix = text.find(|c| !matches!(c, 'b' | 'c' | 'r')).filter(|at| *at <= 2)?;
    let (prefix, rest) = text.split_at(prefix);
    let hashes = if prefix.ends_with('r') { rest.len() - rest.trim_start_matches('#').len() } else { 0 };
    if !rest[hashes..].starts_with('"') {
        return None;
    }
    let body = prefix.len() + hashes + 1;
    if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(text[body..].find(&end).map_or(text.len(), |at| body + at + end.len()));
    }
    Some(body + quoted(&text[body..], b'"'))
}

/// The length of what comes before and with the closing quote.
fn quoted(text: &str, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        let rest = &text.as_bytes()[at..];
        if rest.is_empty() {
            return text.len();
        }
        if rest.starts_with(b"/*") {
            (at, depth) = (at + 2, depth + 1);
        } else if rest.starts_with(b"*/") {
            (at, depth) = (at + 2, depth - 1);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
}

/// A character, not a lifetime: `'a'` is one, `'a` is not.
fn character(text: &str) -> Option<usize> {
    let open = text.find('\'')? + 1;
    let mut inside = text[open..].chars();
    match inside.next()? {
        '\\' => Some(open + quoted(&text[open..], b'\'')),
        one => (inside.next() == Some('\'')).then(|| open + one.len_utf8() + 1),
    }
}

#[test]
fn literals_are_blanked_and_code_is_not() {
    for (text, kept) in [
        ("a // }\nb", "a b"),
        ("a /* { /* { */ */ b", "a b"),
        (r#"f("{ \" }", x)"#, "f( , x)"),
        ("r#\"{ \" \"#; b", "; b"),
        (r#"br"{" b"}" c"}" z"#, "z"),
        (r"('{', b'}', '\'', '\u{7d}', '\\', '{') 'a 'static", "( , , , , , ) 'a 'static"),
        ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ("abc\"x\"", "abc"),
        ("\"é\" x \"\\\\\" y", "x y"),
    ] {
        let code = without_literals(text);
        assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), kept, "{text}");
        assert_eq!(code.len(), text.chars().count(), "{text}");
    }
}

#[test]
fn what_is_compiled_for_tests_only_is_not_shipped() {
    let shipped =
        |text: &str| Source::new("a.rs", text).shipped.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(shipped("x #[cfg(test)] mod tests { fn f() {} } y"), "x y");
    assert_eq!(shipped("x #[cfg(test)] mod tests; y"), "x y");
    assert_eq!(shipped("x #[cfg(test)] #[allow(a)] fn f(a: [u8; 2]) { g() } y"), "x y");
    assert_eq!(shipped("x #[cfg(all(test, unix))] use a::{b}; y"), "x y");
    assert_eq!(Source::new("session/tests.rs", "use crate::cli;").shipped, "");
}

#[test]
fn files_are_modules() {
    for (path, module) in [
        ("lib.rs", ""),
        ("main.rs", "main"),
        ("error.rs", "error"),
        ("codec/", "codec"),
        ("codec/mod.rs", "codec"),
        ("testing/sim/net.rs", "testing::sim::net"),
    ] {
        assert_eq!(module_of(path).join("::"), module);
    }
}

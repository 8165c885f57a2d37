//! An experiment's own text: what `lab show` prints without running anything.

/// What stands before an experiment's texts.
const BEGIN: &str = "\nconst ";
const TYPE: &str = ": Experiment = ";
const TESTS: &str = "\n#[cfg(test)]";
/// What a step looks like in a function.
const STEP: &str = "lab.step(";

/// The code between the consts of this experiment and those of the next, or the end: its function and those it calls.
/// Empty when the file is not written as it should be, which a test of the registry finds.
pub(super) fn code_of(text: &'static str, id: &str) -> &'static str {
    let begin = format!("{BEGIN}{id}{TYPE}");
    let Some((_, rest)) = text.split_once(&begin) else { return "" };
    let Some((_, rest)) = rest.split_once("\n};\n") else { return "" };
    let next = rest
        .match_indices(BEGIN)
        .find(|(at, _)| rest[*at..].lines().nth(1).is_some_and(|l| l.contains(TYPE)));
    let end = next.map_or(rest.len(), |(at, _)| at).min(rest.find(TESTS).unwrap_or(rest.len()));
    rest[..end].trim_matches('\n')
}

/// The literals given to `lab.step`, in the order of the text.
pub(super) fn steps_of(code: &str) -> Vec<String> {
    code.match_indices(STEP).filter_map(|(at, _)| literal(code[at + STEP.len()..].trim_start())).collect()
}

/// The string literal that `text` begins with. A backslash at the end of a line joins it to the next.
fn literal(text: &str) -> Option<String> {
    let mut rest = text.strip_prefix('"')?.chars().peekable();
    let mut value = String::new();
    while let Some(character) = rest.next() {
        match character {
            '"' => return Some(value),
            '\\' => match rest.next()? {
                '\n' => while rest.next_if(|next| next.is_whitespace()).is_some() {},
                escaped => value.push(escaped),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "//! x\n\nconst A01: Experiment = Experiment {\n    id: \"A01\",\n};\n\nfn a(lab: &mut Lab) {\n    \
        lab.step(\"first \\\"one\\\"\");\n    const N: u8 = 1;\n}\n\nconst N: u8 = 1;\n\nfn help() {\n    lab.step(\n        \"a \\\n         b\",\n    );\n}\n\n\
        const A02: Experiment = Experiment {\n};\n\nfn b() {}\n\n#[cfg(test)]\nmod tests {}\n";

    #[test]
    fn code_goes_from_an_experiment_to_the_next_or_to_the_tests() {
        let code = code_of(TEXT, "A01");
        assert!(code.starts_with("fn a(") && code.ends_with('}'), "{code}");
        assert!(code.contains("fn help()") && !code.contains("A02"), "{code}");
        assert_eq!(code_of(TEXT, "A02"), "fn b() {}");
        assert_eq!(code_of(TEXT, "A03"), "");
    }

    #[test]
    fn steps_are_the_literals() {
        assert_eq!(steps_of(code_of(TEXT, "A01")), ["first \"one\"", "a b"]);
    }
}

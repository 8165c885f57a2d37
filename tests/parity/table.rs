//! What is said and what must be answered, whoever drives the service.

use std::sync::Arc;
use std::time::Duration;

use oneloop::codec::{Decoder, Delimited, Encoder, Fixed, LengthPrefixed, Lines, Raw};
use oneloop::services::{
    Ack, AckConfig, DEFAULT_ACK, DEFAULT_REPLY, Discard, Echo, Greet, GreetConfig, Once, OnceConfig, Source,
};
use oneloop::session::{Factory, Framed, Service, factory};
use oneloop::testing::sim::Step;

/// A transcript of one service.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) make: Factory,
    pub(crate) steps: Vec<Step>,
    /// The bytes may arrive cut anywhere, and the answers are the same.
    pub(crate) cut: bool,
    /// It takes at least so long.
    pub(crate) takes: Duration,
    /// Too much to be said again and again.
    pub(crate) large: bool,
}

impl Case {
    /// The transcript itself, and where it may be cut every way of cutting one of its sends in two.
    pub(crate) fn variants(&self) -> Vec<Vec<Step>> {
        let mut all = vec![self.steps.clone()];
        if !self.cut || self.large {
            return all;
        }
        for (at, step) in self.steps.iter().enumerate() {
            let Step::Send(bytes) = step else { continue };
            for cut in 1..bytes.len() {
                let (first, second) = bytes.split_at(cut);
                let mut steps = self.steps.clone();
                steps.splice(at..=at, [Step::Send(first.into()), Step::Send(second.into())]);
                all.push(steps);
            }
        }
        all
    }
}

/// Everything.
pub(crate) fn table() -> Vec<Case> {
    let mut table = Vec::new();
    echo(&mut table);
    refused(&mut table);
    raw_messages(&mut table);
    framed_messages(&mut table);
    delays(&mut table);
    once(&mut table);
    silence(&mut table);
    large(&mut table);
    table
}

/// `>` is said, `<` is heard; `.` is the end of what the client says, `|` the server's.
type Talk<'a> = &'a [(char, &'a str)];

fn steps(talk: Talk<'_>) -> Vec<Step> {
    let step = |&(kind, text): &(char, &str)| match kind {
        '>' => Step::Send(bytes(text)),
        '<' => Step::Hear(bytes(text)),
        '.' => Step::Eof,
        '|' => Step::End,
        _ => panic!("no such step: {kind}"),
    };
    talk.iter().map(step).collect()
}

/// Every character below U+0100 is one byte, every other its UTF-8.
fn bytes(text: &str) -> Vec<u8> {
    let byte = |c: char| u8::try_from(c).map_or_else(|_| c.to_string().into_bytes(), |byte| vec![byte]);
    text.chars().flat_map(byte).collect()
}

fn behind<C, S>(codec: C, service: S) -> Factory
where
    C: Decoder + Encoder + Clone + Send + Sync + 'static,
    S: Service + Clone + Send + Sync + 'static,
{
    factory(move |_| Framed::new(codec.clone(), service.clone()))
}

fn add<'t>(table: &'t mut Vec<Case>, name: &str, make: Factory, talk: Talk<'_>) -> &'t mut Case {
    let cut = true;
    let (name, steps) = (name.to_owned(), steps(talk));
    table.push(Case { name, make, steps, cut, takes: Duration::ZERO, large: false });
    table.last_mut().unwrap()
}

fn delimited(text: &[u8], max: usize) -> Delimited {
    Delimited::new(text, max).unwrap()
}

fn fixed(size: u32) -> Fixed {
    Fixed::new(size.try_into().unwrap())
}

fn echo(table: &mut Vec<Case>) {
    let raw = "hello\r\n\0\u{ff}exit";
    add(table, "echo raw", behind(Raw, Echo), &[('>', raw), ('<', raw), ('.', ""), ('|', "")]);
    let talk: Talk<'_> = &[
        ('>', "one\r\n\ntwo\nla"),
        ('<', "one\n\ntwo\n"),
        ('>', "st"),
        ('.', ""),
        ('<', "last\n"),
        ('|', ""),
    ];
    add(table, "echo lines", behind(Lines::default(), Echo), talk);
    let talk: Talk<'_> =
        &[('>', "one----two-three--la"), ('<', "one----two-three--"), ('.', ""), ('<', "la--"), ('|', "")];
    add(table, "echo delimited", behind(delimited(b"--", 99), Echo), talk);
    let talk: Talk<'_> = &[('>', "onetwothr"), ('<', "onetwothr"), ('.', ""), ('|', "")];
    add(table, "echo fixed", behind(fixed(3), Echo), talk);
    for (name, codec, frames) in [
        ("len16", LengthPrefixed::len16(99), "\0\u{3}one\0\0\0\u{1}x"),
        ("len32", LengthPrefixed::len32(99), "\0\0\0\u{3}one\0\0\0\0\0\0\0\u{1}x"),
        ("len32le", LengthPrefixed::len32le(99), "\u{3}\0\0\0one\0\0\0\0\u{1}\0\0\0x"),
    ] {
        let talk: Talk<'_> =
            &[('>', frames), ('<', frames), ('>', frames), ('<', frames), ('.', ""), ('|', "")];
        add(table, &format!("echo {name}"), behind(codec, Echo), talk);
    }
}

/// Bytes that are no frame: what came before is answered, then it is over.
fn refused(table: &mut Vec<Case>) {
    let len32 = || behind(LengthPrefixed::len32(4), Echo);
    let len16 = || behind(LengthPrefixed::len16(4), Echo);
    let len32le = || behind(LengthPrefixed::len32le(4), Echo);
    for (name, make, good, bad) in [
        ("lines", behind(Lines::new(4), Echo), "four\n", "fives"),
        ("delimited", behind(delimited(b";", 4), Echo), "four;", "fives"),
        ("len16", len16(), "\0\u{2}ok", "\0\u{5}"),
        ("len32", len32(), "\0\0\0\u{2}ok", "\u{ff}\u{ff}\u{ff}\u{ff}"),
        ("len32le", len32le(), "\u{2}\0\0\0ok", "\u{5}\0\0\0"),
        ("len32le negative", len32le(), "\u{2}\0\0\0ok", "\u{ff}\u{ff}\u{ff}\u{ff}"),
    ] {
        let both = format!("{good}{bad}");
        add(table, &format!("{name} too long"), make, &[('>', &both), ('<', good), ('|', "")]);
    }
    for (name, make, good, part) in [
        // With the delimiter behind it this last one would end a byte too early.
        ("delimited, ambiguous", behind(delimited(b"--", 9), Echo), "one--", "two-"),
        ("fixed", behind(fixed(3), Echo), "one", "tw"),
        ("len16", len16(), "\0\u{2}ok", "\0\u{3}no"),
        ("len16 header", len16(), "\0\u{2}ok", "\0"),
        ("len32", len32(), "\0\0\0\u{2}ok", "\0\0\0\u{3}no"),
        ("len32le", len32le(), "\u{2}\0\0\0ok", "\u{3}\0\0\0no"),
    ] {
        let both = format!("{good}{part}");
        add(table, &format!("{name} truncated"), make, &[('>', &both), ('<', good), ('.', ""), ('|', "")]);
    }
}

fn greet(banner: &str, delay: Duration, strip_line_end: bool) -> Greet {
    Greet::new(Arc::new(GreetConfig { banner: banner.into(), delay, strip_line_end, exit: true }))
}

fn ack(strip_line_end: bool) -> Ack {
    Ack::new(Arc::new(AckConfig { strip_line_end, ..AckConfig::default() }))
}

/// One message per round trip: a message is what one read returns.
fn raw_messages(table: &mut Vec<Case>) {
    for (end, banner) in [("", ""), ("\n", "Welcome!"), ("\r\n", "hi\n")] {
        let sent = |text: &str| format!("{text}{end}");
        let (name, exit) = (format!("raw, line end {:?}", end), sent("exit"));
        let hello = [sent("Travis"), sent("Hello, Travis!"), sent("exit it"), sent("Hello, exit it!")];
        let mut talk =
            vec![('<', banner), ('>', &hello[0]), ('<', &hello[1]), ('>', &hello[2]), ('<', &hello[3])];
        let nobody = sent("Hello, !");
        if !end.is_empty() {
            talk.extend([('>', end), ('<', &*nobody), ('>', "two\n\n"), ('<', "Hello, two\n!\n")]);
        }
        let half_close = [&talk[..], &[('.', ""), ('|', "")]].concat();
        talk.extend([('>', &*exit), ('|', "")]);
        let make = behind(Raw, greet(banner, Duration::ZERO, true));
        add(table, &format!("greet {name}"), make.clone(), &talk).cut = false;
        add(table, &format!("greet {name}, half-closed"), make, &half_close).cut = false;
        let (ok, any) = (sent(DEFAULT_ACK), sent("你好"));
        let talk: Talk<'_> =
            &[('>', &any), ('<', &ok), ('>', &hello[0]), ('<', &ok), ('>', &exit), ('|', "")];
        add(table, &format!("ack {name}"), behind(Raw, ack(true)), talk).cut = false;
    }
    let talk: Talk<'_> = &[('>', "anything\n"), ('<', DEFAULT_REPLY), ('|', "")];
    add(table, "once raw", behind(Raw, Once::new(Arc::default())), talk);
}

fn framed_messages(table: &mut Vec<Case>) {
    let greet = || greet("hi", Duration::ZERO, false);
    let lines = || behind(Lines::default(), greet());
    let talk: Talk<'_> = &[
        ('<', "hi\n"),
        ('>', "A\r\n\nexit \nexit\nB\n"),
        ('<', "Hello, A!\nHello, !\nHello, exit !\n"),
        ('|', ""),
    ];
    add(table, "greet lines", lines(), talk);
    let talk: Talk<'_> = &[('<', "hi\n"), ('>', "A\nexit"), ('<', "Hello, A!\n"), ('.', ""), ('|', "")];
    add(table, "greet lines, exit without a line end", lines(), talk);
    let talk: Talk<'_> =
        &[('<', "hi\n"), ('>', "A\nB"), ('.', ""), ('<', "Hello, A!\nHello, B!\n"), ('|', "")];
    add(table, "greet lines, name without a line end", lines(), talk);
    let talk: Talk<'_> = &[
        ('<', "\0\u{2}hi"),
        ('>', "\0\u{1}A\0\0\0\u{4}exit\0\u{1}B"),
        ('<', "\0\u{9}Hello, A!\0\u{8}Hello, !"),
        ('|', ""),
    ];
    add(table, "greet len16", behind(LengthPrefixed::len16(99), greet()), talk);
    let ok = |header: &str| format!("{header}\u{9}{DEFAULT_ACK}");
    let (two, four) = (ok("\0"), ok("\0\0\0"));
    let talk: Talk<'_> = &[
        ('>', "\0\u{5}exit\n"),
        ('<', &two),
        ('>', "\0\0"),
        ('<', &two),
        ('>', "\0\u{4}exit\0\0"),
        ('|', ""),
    ];
    add(table, "ack len16", behind(LengthPrefixed::len16(99), ack(false)), talk);
    let talk: Talk<'_> = &[('>', "\0\0\0\u{1}a"), ('<', &four), ('.', ""), ('|', "")];
    add(table, "ack len32", behind(LengthPrefixed::len32(99), ack(false)), talk);
    let ok = Ack::new(Arc::new(AckConfig { reply: b"ok!".to_vec(), ..AckConfig::default() }));
    let talk: Talk<'_> = &[('>', "onetwo"), ('<', "ok!ok!"), ('.', ""), ('|', "")];
    add(table, "ack fixed", behind(fixed(3), ok.clone()), talk);
    let talk: Talk<'_> = &[('>', "a--b--exit--c--"), ('<', "ok!--ok!--"), ('|', "")];
    add(table, "ack delimited", behind(delimited(b"--", 99), ok), talk);
}

fn delays(table: &mut Vec<Case>) {
    const DELAY: Duration = Duration::from_millis(30);
    let raw = behind(Raw, greet("", DELAY, true));
    let talk: Talk<'_> =
        &[('>', "A"), ('<', "Hello, A!"), ('>', "B\n"), ('<', "Hello, B!\n"), ('>', "exit"), ('|', "")];
    let case = add(table, "greet raw, delayed", raw, talk);
    (case.cut, case.takes) = (false, 2 * DELAY);
    let lines = behind(Lines::default(), greet("hi", DELAY, false));
    let talk: Talk<'_> =
        &[('<', "hi\n"), ('>', "A\nB\nexit\nC\n"), ('<', "Hello, A!\nHello, B!\n"), ('|', "")];
    add(table, "greet lines, delayed", lines.clone(), talk).takes = 2 * DELAY;
    let talk: Talk<'_> =
        &[('<', "hi\n"), ('>', "A\nB"), ('.', ""), ('<', "Hello, A!\nHello, B!\n"), ('|', "")];
    add(table, "greet lines, delayed and half-closed", lines, talk).takes = 2 * DELAY;
}

fn once(table: &mut Vec<Case>) {
    let once = || Once::new(Arc::new(OnceConfig { reply: b"bye".to_vec(), ..OnceConfig::default() }));
    let talk: Talk<'_> = &[('>', "one\ntwo\n"), ('<', "bye\n"), ('|', "")];
    add(table, "once lines, a second one behind", behind(Lines::default(), once()), talk);
    let talk: Talk<'_> = &[('>', "la"), ('.', ""), ('<', "bye\n"), ('|', "")];
    add(table, "once lines, without a line end", behind(Lines::default(), once()), talk);
    let talk: Talk<'_> = &[('>', "\0\u{1}a\0\u{1}b"), ('<', "\0\u{3}bye"), ('|', "")];
    add(table, "once len16, a second one behind", behind(LengthPrefixed::len16(9), once()), talk);
    let talk: Talk<'_> = &[('>', "onetwo"), ('<', "bye"), ('|', "")];
    add(table, "once fixed, a second one behind", behind(fixed(3), once()), talk);
    let talk: Talk<'_> = &[('>', "\0\u{9}par"), ('.', ""), ('|', "")];
    add(table, "once len16, truncated", behind(LengthPrefixed::len16(9), once()), talk);
}

/// Nothing is answered.
fn silence(table: &mut Vec<Case>) {
    let at_once: Talk<'_> = &[('.', ""), ('|', "")];
    for (name, make) in [
        ("echo raw", behind(Raw, Echo)),
        ("echo lines", behind(Lines::default(), Echo)),
        ("echo len32", behind(LengthPrefixed::len32(9), Echo)),
        ("greet raw", behind(Raw, greet("", Duration::ZERO, true))),
        ("ack raw", behind(Raw, ack(true))),
        ("once raw", behind(Raw, Once::new(Arc::default()))),
        ("once lines", behind(Lines::default(), Once::new(Arc::default()))),
        ("discard raw", behind(Raw, Discard::default())),
    ] {
        add(table, &format!("{name}, an end without a message"), make, at_once);
    }
    for (name, make, sent) in [
        ("raw", behind(Raw, Discard::default()), "exit\n\0\u{ff}"),
        ("lines", behind(Lines::default(), Discard::default()), "one\n\nexit\nla"),
        ("len32", behind(LengthPrefixed::len32(9), Discard::default()), "\0\0\0\u{3}one\0\0\0\0"),
        ("len32 truncated", behind(LengthPrefixed::len32(9), Discard::default()), "\0\0\0\u{3}on"),
    ] {
        add(table, &format!("discard {name}"), make, &[('>', sent), ('.', ""), ('|', "")]);
    }
}

fn large(table: &mut Vec<Case>) {
    const MEGABYTE: usize = 1_000_000;
    let any: Vec<u8> = (0..MEGABYTE).map(|at| ((at * at) >> 7).to_le_bytes()[0]).collect();
    let lines: Vec<u8> =
        any.iter().map(|byte| if *byte < 3 { b'\n' } else { *byte | 64 }).chain([b'\n']).collect();
    let frames: Vec<u8> = [&1_000_000_u32.to_be_bytes()[..], &any].concat();
    for (name, make, bytes) in [
        ("raw", behind(Raw, Echo), any),
        ("lines", behind(Lines::default(), Echo), lines),
        ("len32", behind(LengthPrefixed::len32(MEGABYTE), Echo), frames),
    ] {
        let case = add(table, &format!("echo {name}, a megabyte"), make, &[]);
        case.steps = vec![Step::Send(bytes.clone()), Step::Eof, Step::Hear(bytes), Step::End];
        case.large = true;
    }
    let pattern = |from: usize, to: usize| (from..to).map(|k| (k % 251).to_le_bytes()[0]).collect();
    let case = add(table, "source", factory(|_| Source::default()), &[]);
    // What is under way when the client half-closes: at most what the buffers of both kernels hold.
    let (first, rest) = (pattern(0, 100_000), pattern(100_000, 32_000_000));
    case.steps =
        vec![Step::Hear(first), Step::Send(b"ignored".to_vec()), Step::Eof, Step::HearSome(rest), Step::End];
    case.large = true;
}

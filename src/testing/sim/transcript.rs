//! A conversation written down beforehand: who says what, in turn, and how it ends.

use std::time::Duration;

use super::conn::Conn;
use super::faults::Faults;
use super::plan::{Ending, NEVER, Setting};
use super::run::{Conversation, Simulation};
use super::{Failure, Sound};
use crate::reactor::Config;
use crate::session::{CloseReason, Factory};

/// The room of both queues, and the most a client reads at once, where the kernel is kind.
const AMPLE: usize = 1 << 20;

/// A conversation in which nothing goes on for so long has stalled.
const IDLE: Duration = Duration::from_secs(600);

/// One step of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends this, in one piece where the kernel is kind.
    Send(Vec<u8>),
    /// Expects exactly this next.
    Hear(Vec<u8>),
    /// Takes whatever of this still comes, from its beginning on; perhaps none of it. Only the end may follow.
    HearSome(Vec<u8>),
    /// Ends its sending side.
    Eof,
    /// Expects the end of the stream. Every transcript ends so.
    End,
}

/// What one send begins after, and where it ends: bytes of both directions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) heard: usize,
    pub(super) sent: usize,
}

/// When a client speaks; nothing of it where it need not wait for an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    turns: Vec<Turn>,
    /// The sending side ends once so much was heard.
    fin_after: usize,
    /// Bytes at the end of what is heard that need not come.
    pub(super) optional: usize,
}

impl Turns {
    pub(super) fn clear(&mut self) {
        self.turns.clear();
        (self.fin_after, self.optional) = (0, 0);
    }

    /// How much may be said now, of what is not said yet.
    #[inline]
    pub(super) fn grant(&self, unsaid: usize, sent: usize, heard: usize) -> usize {
        match self.turns.iter().find(|turn| turn.sent > sent) {
            Some(turn) if turn.heard > heard => 0,
            Some(turn) => turn.sent - sent,
            None => unsaid,
        }
    }

    /// Whether hearing something may be what the client waits for before it goes on.
    pub(super) const fn are_kept(&self) -> bool {
        !self.turns.is_empty() || self.fin_after > 0
    }

    /// Whether the sending side may end.
    pub(super) const fn may_end(&self, heard: usize) -> bool {
        heard >= self.fin_after
    }
}

/// What one client and a server say to each other, in turn.
///
/// ```
/// use oneloop::codec::Lines;
/// use oneloop::services::Echo;
/// use oneloop::session::{Framed, factory};
/// use oneloop::testing::sim::{Step, Transcript};
///
/// let lines = |text: &str| text.as_bytes().to_vec();
/// let transcript = Transcript::new(&[
///     Step::Send(lines("hel")),
///     Step::Send(lines("lo\nwor")),
///     Step::Hear(lines("hello\n")),
///     Step::Eof,
///     Step::Hear(lines("wor\n")),
///     Step::End,
/// ]);
/// let echo = factory(|_peer| Framed::new(Lines::default(), Echo));
/// transcript.play(echo.clone()).expect("a kind kernel");
/// transcript.survives_any_kernel(100, echo);
/// ```
#[derive(Debug, Clone)]
pub struct Transcript {
    says: Vec<u8>,
    hears: Vec<u8>,
    turns: Turns,
    ending: Ending,
    /// Everything arrives at once and as it was sent.
    kind: bool,
}

impl Transcript {
    /// A transcript of these steps.
    #[must_use]
    pub fn new(steps: &[Step]) -> Self {
        let (says, hears) = (Vec::new(), Vec::new());
        let mut made = Self { says, hears, turns: Turns::default(), ending: Ending::Served, kind: false };
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    made.says.extend_from_slice(bytes);
                    made.turns.turns.push(Turn { heard: made.hears.len(), sent: made.says.len() });
                }
                Step::Hear(bytes) => made.hears.extend_from_slice(bytes),
                Step::HearSome(bytes) => {
                    made.hears.extend_from_slice(bytes);
                    made.turns.optional = bytes.len();
                }
                Step::Eof => {
                    made.turns.fin_after = made.hears.len();
                    made.ending = Ending::HalfClose;
                }
                Step::End => {}
            }
        }
        made
    }

    /// Plays it with one client on a kernel without faults, in which every send arrives as one piece. Says how much
    /// virtual time that took.
    ///
    /// # Errors
    /// What was different.
    pub fn play(&self, make: Factory) -> Result<Duration, Failure> {
        let kind = Self { kind: true, ..self.clone() };
        let mut simulation = kind.simulation(make);
        simulation.run(0)?;
        Ok(simulation.last_end())
    }

    /// Plays it with several clients at once under `seeds` kernels, none of them kind: what is sent arrives cut into any
    /// pieces, so that it must not matter how.
    ///
    /// # Panics
    /// With the seed and what broke, when a run fails.
    pub fn survives_any_kernel(&self, seeds: u64, make: Factory) {
        let mut simulation = self.simulation(make);
        for seed in 0..seeds {
            if let Err(failure) = simulation.run(seed) {
                panic!("seed {}: {}", failure.seed, failure.what);
            }
        }
    }

    fn simulation(&self, make: Factory) -> Simulation<Sound> {
        let conversation = Conversation { says: self.says.clone(), hears: self.hears.clone() };
        Simulation::with_transcript(make, conversation, self.clone())
    }

    /// Nobody stops the server; a kind kernel has no faults, one client and the usual limits.
    pub(super) fn set(&self, faults: &mut Faults, setting: &mut Setting, config: &mut Config, base: &Config) {
        setting.stops = [NEVER; 2];
        // Whoever keeps to it is not ended or turned away for what others do.
        (config.limits.memory, config.max_per_address) = (None, None);
        if self.kind {
            *faults = Faults::default();
            (setting.clients, setting.descriptors) = (1, 64);
            *config = base.clone();
            // By default it is as long as a run may last.
            config.limits.idle = Some(IDLE);
        }
    }

    /// Lets a client keep to it.
    pub(super) fn give_to(&self, conn: &mut Conn) {
        conn.script.turns.clone_from(&self.turns);
        conn.plan.ending = self.ending;
        if self.kind {
            conn.plan.piece = AMPLE;
            conn.plan.whole = true;
            (conn.plan.starts_at, conn.plan.reads_from, conn.plan.read_gap) = (0, 0, 0);
            // One send for each poll is apart enough; and time stands still while a server that always writes goes on.
            conn.plan.send_gap = 0;
            conn.plan.read_chunk = AMPLE;
            (conn.plan.in_room, conn.plan.out_room) = (AMPLE, AMPLE);
            conn.plan.fin_with_data = false;
        }
    }

    /// What must be true besides, of every client that was served.
    pub(super) fn judge(&self, conns: &[Conn]) -> Result<(), String> {
        for conn in conns {
            let Some((reason, _)) = &conn.end else { continue };
            let whole = conn.written + self.turns.optional >= self.hears.len();
            if !whole && !matches!(reason, CloseReason::Io(_)) {
                let (id, written, hears) = (conn.id, conn.written, self.hears.len());
                return Err(format!("connection #{id} ended \"{reason}\" after {written} bytes of {hears}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{LengthPrefixed, Lines, Raw};
    use crate::services::{Ack, AckConfig, Echo, Greet, GreetConfig};
    use crate::session::{Framed, factory};
    use std::sync::Arc;

    fn steps(steps: &[(char, &str)]) -> Transcript {
        let step = |&(kind, text): &(char, &str)| match kind {
            '>' => Step::Send(text.into()),
            '<' => Step::Hear(text.into()),
            '~' => Step::HearSome(text.into()),
            '.' => Step::Eof,
            _ => Step::End,
        };
        Transcript::new(&steps.iter().map(step).collect::<Vec<_>>())
    }

    fn greet(delay: u64) -> Factory {
        let config = GreetConfig {
            banner: b"hi".to_vec(),
            delay: Duration::from_millis(delay),
            strip_line_end: true,
            exit: true,
        };
        let config = Arc::new(config);
        factory(move |_| Framed::new(Raw, Greet::new(Arc::clone(&config))))
    }

    #[test]
    fn a_transcript_is_kept_to_turn_by_turn() {
        let right = [('<', "hi"), ('>', "A"), ('<', "Hello, A!"), ('>', "B\n"), ('<', "Hello, B!\n")];
        let ends = [('>', "exit"), ('|', "")];
        let took = steps(&[&right[..], &ends].concat()).play(greet(30)).unwrap();
        assert!(took >= Duration::from_millis(60), "{took:?}");
    }

    #[test]
    fn what_is_sent_in_two_pieces_arrives_in_two() {
        let two = [('<', "hi"), ('>', "A"), ('>', "B"), ('<', "Hello, A!Hello, B!"), ('.', ""), ('|', "")];
        steps(&two).play(greet(0)).unwrap();
        let one = [('<', "hi"), ('>', "AB"), ('<', "Hello, A!Hello, B!"), ('.', ""), ('|', "")];
        steps(&one).play(greet(0)).unwrap_err();
    }

    #[test]
    fn every_difference_is_found() {
        let ack = || {
            let config = Arc::new(AckConfig { reply: b"ok".to_vec(), ..AckConfig::default() });
            factory(move |_| Framed::new(Lines::default(), Ack::new(Arc::clone(&config))))
        };
        for (wrong, found) in [
            (&[('>', "a\n"), ('<', "no\n"), ('.', ""), ('|', "")][..], "answered wrongly"),
            (&[('>', "a\n"), ('<', "ok\nok\n"), ('.', ""), ('|', "")], "idle"),
            (&[('>', "a\n"), ('.', ""), ('|', "")], "answered wrongly"),
            (&[('>', "a\nexit\nb\n"), ('<', "ok\nok\n"), ('|', "")], "before all was answered"),
            (&[('>', "a\n"), ('<', "ok\n"), ('|', "")], "idle"),
        ] {
            let failure = steps(wrong).play(ack()).unwrap_err();
            assert!(failure.what.contains(found), "{wrong:?}: {}", failure.what);
        }
        steps(&[('>', "a\n"), ('.', ""), ('~', "ok\nok\n"), ('|', "")]).play(ack()).unwrap();
    }

    #[test]
    fn an_unkind_kernel_changes_nothing_where_frames_are_delimited() {
        let echo = || factory(|_| Framed::new(LengthPrefixed::len16(9), Echo));
        let talk = [
            ('>', "\0\x03abc\0"),
            ('<', "\0\x03abc"),
            ('>', "\x01d"),
            ('<', "\0\x01d"),
            ('.', ""),
            ('|', ""),
        ];
        steps(&talk).survives_any_kernel(300, echo());
        let refused = [('>', "\0\x01a\0\x0abcdefghijk"), ('<', "\0\x01a"), ('|', "")];
        steps(&refused).survives_any_kernel(300, echo());
    }
}

//! `oneloop call`: messages are sent one by one, and the replies printed.

mod args;
mod conversation;
mod datagrams;
mod form;
mod hex;
mod length;
mod many;
mod messages;
mod printer;
mod stop;
mod stream;

pub(super) use self::args::{ABOUT, CallArgs, EXAMPLES, EXIT_CODES};

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use self::conversation::{Exchange, converse};
use self::datagrams::Datagrams;
use self::form::Form;
use self::length::Length;
use self::many::Many;
use self::messages::{Lines, MAX_MESSAGE, Messages, read_file};
use self::printer::Printer;
use self::stop::Stop;
use self::stream::Stream;
use super::exit::{Exit, Failure};
use super::text::check_sending;
use crate::client::{Client, Codec, ConnectOptions, DatagramClient, MAX_DATAGRAM, ManyClient};
use crate::codec::{DEFAULT_MAX_FRAME, Framing};
use crate::os::multicast::Sending;
use crate::os::resolve::Target;

/// How long a server may take to speak first.
const GREETING: Duration = Duration::from_millis(200);

/// Whom to call and what to say: every option has its meaning, and all of them go together.
pub(super) struct Options {
    target: Target,
    source: Source,
    framing: Framing,
    max_frame: usize,
    form: Form,
    no_reply: bool,
    retries: u32,
    greeting: Duration,
    timeout: Duration,
    connect: ConnectOptions,
    /// Many are asked at once.
    many: Option<Sending>,
}

/// Where messages come from.
enum Source {
    Arguments(Vec<Vec<u8>>),
    File(PathBuf),
    StandardInput,
}

impl Options {
    /// Gives the arguments their meaning.
    ///
    /// # Errors
    /// Arguments that cannot be kept together: which, why, and what would be accepted.
    pub(super) fn from_args(args: CallArgs) -> Result<Self, String> {
        check_target(&args)?;
        let many = many::asked(&args)?;
        check_framing(&args)?;
        check_sending(args.encoding, "call")?;
        let form = Form::of(&args);
        let source = match args.file {
            Some(path) => Source::File(path),
            None if args.messages.is_empty() => Source::StandardInput,
            None => Source::Arguments(messages(args.messages, form)?),
        };
        let options = Self {
            source,
            framing: args.framing,
            max_frame: args.max_frame.unwrap_or(DEFAULT_MAX_FRAME),
            form,
            no_reply: args.no_reply,
            retries: args.retries.unwrap_or(0),
            greeting: args.greeting.unwrap_or(GREETING),
            timeout: args.timeout,
            connect: ConnectOptions { limit: args.connect_timeout, bind: args.bind },
            many,
            target: args.url,
        };
        if let Source::Arguments(messages) = &options.source {
            messages.iter().try_for_each(|message| options.check_message(message))?;
        }
        Ok(options)
    }

    fn is_raw(&self) -> bool {
        self.framing == Framing::Raw
    }

    /// Whether an empty message would be no bytes at all, to which nobody could answer.
    fn sends_nothing_for_empty(&self) -> bool {
        self.is_raw() && !self.target.is_datagram()
    }

    fn check_message(&self, message: &[u8]) -> Result<(), String> {
        if message.is_empty() && self.sends_nothing_for_empty() {
            return Err("the message '' has no bytes, so that '--framing raw' would send nothing; leave it out or choose \
                        another framing"
                .to_owned());
        }
        if self.target.is_datagram() {
            let len = message.len();
            return if len <= MAX_DATAGRAM {
                Ok(())
            } else {
                Err(format!("a message of {len} bytes does not fit a datagram; send at most {MAX_DATAGRAM}"))
            };
        }
        let encoded = self.codec().encode(message, &mut Vec::new());
        encoded.map_err(|error| {
            format!(
                "the message '{}' does not fit '--framing {}': {error}; choose another framing or --max-frame",
                shortened(message),
                self.framing
            )
        })
    }

    fn codec(&self) -> Box<dyn Codec> {
        self.framing.codec(self.max_frame)
    }

    /// For the reading of one message. Where nothing frames it, its only limit is that it is kept in memory.
    fn length(&self) -> Length {
        let max = match self.form {
            // As it is typed it may be longer than as it is sent, and is checked again then.
            Form::Text(_) => MAX_MESSAGE,
            _ if self.is_raw() => MAX_MESSAGE,
            _ => self.max_frame,
        };
        Length::new(max, self.form == Form::Hex)
    }

    fn messages(&mut self) -> Result<Messages, Stop> {
        match std::mem::replace(&mut self.source, Source::StandardInput) {
            Source::Arguments(messages) => Ok(Messages::given(messages)),
            Source::StandardInput => {
                Ok(Messages::Typed(Lines::new(self.length(), self.form, self.sends_nothing_for_empty())))
            }
            Source::File(path) => {
                let content = read_file(&path, self.length(), self.form)?;
                if content.is_empty() && self.sends_nothing_for_empty() {
                    return Err(Stop::failed(format!(
                        "'{}' is empty, so that '--framing raw' would send nothing",
                        path.display()
                    )));
                }
                Ok(Messages::given(vec![content]))
            }
        }
    }
}

/// Calls, and prints what is answered.
///
/// # Errors
/// No connection, no reply in time, a connection that ended before everything was said.
pub(super) fn run(options: Options) -> Result<Exit, Failure> {
    match call(options) {
        Ok(()) | Err(Stop::ReaderGone) => Ok(Exit::Done),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

fn call(mut options: Options) -> Result<(), Stop> {
    let mut messages = options.messages()?;
    let mut server: Box<dyn Exchange> = if let Some(sending) = &options.many {
        Box::new(Many::new(ManyClient::open(&options.target, &options.connect, sending)?, &options))
    } else if options.target.is_datagram() {
        Box::new(Datagrams::new(DatagramClient::connect(&options.target, &options.connect)?, &options))
    } else {
        let client = Client::connect_boxed(&options.target, options.codec(), &options.connect)?;
        Box::new(Stream::new(client, &options))
    };
    let mut out = Printer::new(io::stdout().lock(), options.form);
    let outcome = converse(server.as_mut(), &mut messages, &mut out);
    // A reply that was cut off is a line of its own as well.
    outcome.and(out.finish())
}

/// Options that this kind of address cannot keep.
fn check_target(args: &CallArgs) -> Result<(), String> {
    let url = &args.url;
    let refuse = |option: &str, why: &str| Err(format!("'{option}' cannot be used with '{url}': {why}"));
    match url {
        Target::Unixgram(_) if args.bind.is_some() => {
            return refuse("--bind", "a Unix socket has no local IP address; leave the option out");
        }
        Target::Udp(_) | Target::Unixgram(_) => {
            let none = "a datagram is a message already, and has its own limit; leave the option out";
            if args.framing != Framing::Raw {
                return refuse(&format!("--framing {}", args.framing), none);
            } else if args.max_frame.is_some() {
                return refuse("--max-frame", none);
            } else if args.greeting.is_some_and(|greeting| !greeting.is_zero()) {
                return refuse("--greeting", "nobody speaks first in datagrams; leave the option out");
            }
        }
        _ if args.retries.is_some() => {
            return refuse(
                "--retries",
                "only datagrams are lost, the system repeats what a stream loses; leave it out or call udp://",
            );
        }
        Target::Unix(_) if args.bind.is_some() => {
            return refuse("--bind", "a Unix socket has no local IP address; leave the option out");
        }
        _ => {}
    }
    Ok(())
}

/// Options that have no meaning with this framing.
fn check_framing(args: &CallArgs) -> Result<(), String> {
    let max = args.max_frame.unwrap_or(DEFAULT_MAX_FRAME);
    match args.framing {
        Framing::Raw if args.max_frame.is_some() => Err("'--max-frame' cannot be used with '--framing raw': what is \
                                                         raw has no frames; choose another framing or leave the option \
                                                         out"
            .to_owned()),
        Framing::Fixed(size) if size.get() as usize > max => Err(format!(
            "'--framing fixed:{size}' has frames larger than the maximum of {max} bytes; raise --max-frame to at least \
             {size}"
        )),
        _ => Ok(()),
    }
}

fn messages(given: Vec<OsString>, form: Form) -> Result<Vec<Vec<u8>>, String> {
    let read = |message: OsString| {
        let message = message.into_vec();
        let shown = shortened(&message);
        form.parse(message).map_err(|why| format!("the message '{shown}': {why}"))
    };
    given.into_iter().map(read).collect()
}

/// A message as errors name it.
fn shortened(message: &[u8]) -> String {
    const SHOWN: usize = 40;
    let shown = String::from_utf8_lossy(&message[..message.len().min(SHOWN)]).into_owned();
    if message.len() > SHOWN { format!("{shown}…") } else { shown }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::{Args, Command};
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let args =
            Args::try_parse_from(["oneloop", "call"].iter().chain(arguments)).map_err(|e| e.to_string())?;
        let Command::Call(call) = args.command else { panic!("it is a call") };
        Options::from_args(*call)
    }

    #[test]
    fn without_options_the_contracts_defaults_hold() {
        let options = parse(&["tcp://localhost:1", "a"]).ok().unwrap();
        let secs = Duration::from_secs;
        assert_eq!((options.greeting, options.timeout), (Duration::from_millis(200), secs(5)));
        assert_eq!(options.connect, ConnectOptions { limit: secs(5), bind: None });
        assert_eq!((options.retries, options.max_frame), (0, DEFAULT_MAX_FRAME));
        assert!(options.is_raw() && options.form == Form::Bytes && !options.no_reply);
        assert!(matches!(options.source, Source::Arguments(all) if all == [b"a"]));
    }

    #[test]
    fn every_option_reaches_what_it_sets() {
        let options = parse(&[
            "udp://[::1]:1",
            "--hex",
            "--bind=::1",
            "--retries=3",
            "--greeting=0",
            "--timeout=1s",
            "--connect-timeout=2s",
            "00 ff",
            "",
        ]);
        let options = options.ok().unwrap();
        assert_eq!((options.retries, options.timeout), (3, Duration::from_secs(1)));
        let bind = Some("[::1]:0".parse().unwrap());
        assert_eq!(options.connect, ConnectOptions { limit: Duration::from_secs(2), bind });
        assert!(matches!(options.source, Source::Arguments(all) if all == [vec![0, 255], vec![]]));
        let options = parse(&["unix:@x", "--file=f", "--framing=len16", "--max-frame=1k", "--no-reply"]);
        let options = options.ok().unwrap();
        assert!(matches!(options.source, Source::File(path) if path.ends_with("f")));
        assert_eq!((options.framing, options.max_frame), (Framing::Len16, 1024));
        assert!(options.no_reply);
    }

    #[test]
    fn what_cannot_be_kept_together_is_refused() {
        let long = "x".repeat(MAX_DATAGRAM + 1);
        for (arguments, expected) in [
            (&["udp://h:1", "--framing=lines"][..], "'--framing lines'"),
            (&["udp://h:1", "--max-frame=1k"], "--max-frame"),
            (&["udp://h:1", "--greeting=1s"], "--greeting"),
            (&["udp://h:1", &long], "at most 65507"),
            (&["tcp://h:1", "--retries=1"], "call udp://"),
            (&["unix:/a", "--retries=0"], "call udp://"),
            (&["unix:/a", "--bind=127.0.0.1"], "--bind"),
            (&["tcp://h:1", "--max-frame=1k"], "another framing"),
            (&["tcp://h:1", "--framing=fixed:8", "--max-frame=4"], "at least 8"),
            (&["tcp://h:1", "a", ""], "no bytes"),
            (&["tcp://h:1", "--framing=fixed:2", "ab", "abc"], "'abc' does not fit '--framing fixed:2'"),
            (&["tcp://h:1", "--framing=lines", "a\nb"], "another framing"),
            (&["tcp://h:1", "--hex", "0"], "'0': it has an odd number"),
            (&["tcp://h:1", "--file=f", "a"], "--file"),
            (&["udp://h:1", "--retries=1", "--no-reply"], "--no-reply"),
            (&["tcp://h:1", "--encoding=klingon"], "gb18030"),
            (&["tcp://h:1", "--broadcast"], "call udp://"),
            (&["unix:/a", "--broadcast"], "call udp://"),
            (&["unixgram:/a", "--broadcast"], "call udp://"),
            (&["unixgram:/a", "--bind=127.0.0.1"], "--bind"),
            (&["unixgram:/a", "--framing=lines"], "'--framing lines'"),
            (&["unixgram:"], "no path"),
            (&["udp://[::1]:1", "--broadcast"], "[ff02::1]"),
            (&["udp://239.0.0.1:1", "--broadcast"], "needs no permission"),
            (&["udp://10.0.0.1:1", "--multicast-ttl=2"], "--multicast-ttl"),
            (&["tcp://h:1", "--multicast-if=10.0.0.1"], "--multicast-if"),
            (&["udp://239.0.0.1:1", "--multicast-if=eth0"], "'--multicast-if eth0'"),
            (&["udp://[ff02::1]:1", "--multicast-if=10.0.0.1"], "name or number"),
            (&["udp://239.0.0.1:1", "--multicast-if=a/b"], "10.0.0.1, eth0 or 2"),
            (&["udp://239.0.0.1:1", "--multicast-ttl=256"], "256"),
            (&["tcp://h:1", "--encoding=utf-16le"], "read and not written"),
            (&["tcp://h:1", "--encoding=gbk", "--hex"], "--hex"),
            (&["tcp://h:1", "--encoding=gbk", "a😀"], "the message 'a😀': gbk does not have"),
        ] {
            let error = parse(arguments).err().unwrap();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}

//! The raw arguments of `oneloop call`, and its help.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::super::{text, units};
use crate::codec::{Framing, TextEncoding};
use crate::os::multicast::Interface;
use crate::os::resolve::Target;

pub(in super::super) const ABOUT: &str = "\
Send messages one by one and print the replies.

First what arrives within --greeting is printed. Then each MESSAGE is sent and its reply awaited: one \
frame, one datagram, or with raw framing at least one byte and then 20 ms of quiet, all within --timeout. \
After the last one the sending side is closed, and what still arrives is printed until the server ends the connection.

Without MESSAGE and --file every line of standard input is a message, without its line end; it is sent \
as soon as it is read. With raw framing an empty line is not sent: it has no bytes.

What was received goes to standard output as it came, with a newline added to each reply that has none.";

pub(in super::super) const EXAMPLES: &str = "\
Examples:
  oneloop call tcp://127.0.0.1:9999 Travis EDISON JOHN exit
  oneloop call udp://127.0.0.1:9999 Travis --retries 2 --timeout 500ms
  oneloop call unix:/run/my.sock --framing lines < messages.txt
  oneloop call tcp://localhost:7000 --framing len32 --hex '00 ff 10'
  oneloop call udp://192.168.1.255:9999 --broadcast --timeout 1s 'who is there?'
  oneloop call tcp://192.168.1.5:9999 --encoding gbk
                                              each line typed is sent in GBK";

pub(in super::super) const EXIT_CODES: &str = "\
Units:
  sizes   4096, 64KiB, 1MiB, 1GiB             in bytes; 64k is short for 64KiB
  times   250ms, 10s, 5m, 1h, 2d              at most 12d

Exit codes:
  0    every message was sent and had its reply; or the server closed after the last message
       without replying, as many do after 'exit'
  1    no connection, no reply within --timeout or one that did not end within it, a reset,
       a frame cut off, or closed with messages still to be sent
  2    the arguments make no sense";

/// The arguments of `oneloop call`. Those that mean nothing by themselves have no default here.
#[derive(Debug, clap::Args)]
pub(in super::super) struct CallArgs {
    /// Whom to call: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix:@NAME or unixgram:PATH
    ///
    /// HOST is a name or a numeric address, IPv6 in brackets. The addresses of a name are tried in order. Over UDP HOST may be
    /// a numeric multicast group: then each answer within --timeout is printed behind the address it came from.
    #[arg(value_name = "URL", value_parser = target)]
    pub(super) url: Target,

    /// What to send, one after the other [default: the lines of standard input]
    #[arg(value_name = "MESSAGE")]
    pub(super) messages: Vec<OsString>,

    /// Send the content of this file as the one message, instead of MESSAGE
    #[arg(long, value_name = "FILE", conflicts_with = "messages")]
    pub(super) file: Option<PathBuf>,

    /// Messages are hexadecimal digits, with blanks as you like, and replies are printed so, one line each
    #[arg(long)]
    pub(super) hex: bool,

    /// Messages are sent in this encoding instead of as they are, and replies are text in it; not with --hex
    ///
    /// Any label of the WHATWG Encoding Standard that can be sent: utf-8, gbk, gb18030, big5, shift_jis, euc-kr, iso-8859-1,
    /// windows-1252 and others. What is typed, given or in the file must be UTF-8.
    #[arg(long, value_name = "NAME", value_parser = text::encoding, allow_hyphen_values = true, conflicts_with = "hex")]
    pub(super) encoding: Option<TextEncoding>,

    /// Wait for no replies, for servers that send none; what arrives is printed all the same
    #[arg(long)]
    pub(super) no_reply: bool,

    /// Where a message ends: raw, lines, delimited:TEXT, fixed:N, len16, len32 or len32le; not with udp
    ///
    /// raw: nowhere; bytes are sent and printed as they are. lines: LF or CRLF. delimited:TEXT: TEXT, in which
    /// \n, \r, \t, \0, \\ and \xNN are understood. fixed:N: exactly N bytes. len16, len32: after a big-endian
    /// length of 2 or 4 bytes. len32le: after a signed little-endian length of 4 bytes.
    #[arg(long, value_name = "FRAMING", allow_hyphen_values = true, default_value_t = Framing::Raw)]
    pub(super) framing: Framing,

    /// The largest message, both ways, without header or terminator; not with raw [default: 1MiB]
    #[arg(long, value_name = "SIZE", value_parser = max_frame, allow_hyphen_values = true)]
    pub(super) max_frame: Option<usize>,

    /// The local address to call from: IP or IP:PORT; not with unix [default: the system chooses]
    #[arg(long, value_name = "ADDR", value_parser = local, allow_hyphen_values = true)]
    pub(super) bind: Option<SocketAddr>,

    /// Let the address be that of every host of a network; udp on IPv4 only
    ///
    /// Each answer that arrives within --timeout is printed behind the address it came from.
    #[arg(long)]
    pub(super) broadcast: bool,

    /// How many networks a datagram to a group may cross, 0 being this machine; multicast only [default: 1]
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pub(super) multicast_ttl: Option<u8>,

    /// The interface a datagram to a group leaves by: its address for IPv4, its name or number for IPv6; multicast only [default: as the routes say]
    #[arg(long, value_name = "IF", value_parser = interface, allow_hyphen_values = true)]
    pub(super) multicast_if: Option<Interface>,

    /// How often a datagram without reply is sent again, each time after --timeout; udp only [default: 0]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=1000), allow_hyphen_values = true)]
    #[arg(conflicts_with = "no_reply")]
    pub(super) retries: Option<u32>,

    /// How long what the server says first is waited for; 0: not at all; not with udp [default: 200ms]
    #[arg(long, value_name = "TIME", value_parser = units::time, allow_hyphen_values = true, help_heading = "Times")]
    pub(super) greeting: Option<Duration>,

    /// How long a reply may take to its end, counted from when the message has been sent, and how long nothing may
    /// arrive before the end of the connection
    #[arg(long, value_name = "TIME", value_parser = limit, allow_hyphen_values = true, default_value = "5s", help_heading = "Times")]
    pub(super) timeout: Duration,

    /// How long the lookup of a name may take, and then each address
    #[arg(long, value_name = "TIME", value_parser = limit, allow_hyphen_values = true, default_value = "5s", help_heading = "Times")]
    pub(super) connect_timeout: Duration,
}

fn interface(text: &str) -> Result<Interface, String> {
    text.parse().map_err(str::to_owned)
}

fn target(text: &str) -> Result<Target, String> {
    text.parse::<Target>().map_err(|error| error.why().to_owned())
}

/// A time that is not zero: every wait has an end, and some wait there must be.
fn limit(text: &str) -> Result<Duration, String> {
    let limit = units::time(text)?;
    if limit.is_zero() { Err("expected at least 1ms".to_owned()) } else { Ok(limit) }
}

/// Framings count in 32 bits.
fn max_frame(text: &str) -> Result<usize, String> {
    let size = units::positive_size(text)?;
    if size as u64 > 1 << 32 { Err("expected at most 4GiB".to_owned()) } else { Ok(size) }
}

/// IP or IP:PORT; without a port it is 0, any free one.
fn local(text: &str) -> Result<SocketAddr, String> {
    let ip = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let addr = ip.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    addr.or_else(|_| text.parse()).map_err(|_| {
        "expected a numeric address of this machine, with or without a port, as in 127.0.0.1, 10.0.0.1:4000 or [::1]:4000"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_address_may_have_a_port() {
        for (text, want) in [
            ("127.0.0.1", "127.0.0.1:0"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("::1", "[::1]:0"),
            ("[::1]", "[::1]:0"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(local(text), Ok(want.parse().unwrap()), "{text}");
        }
        for text in ["", "localhost", "127.0.0.1:", "127.0.0.1:70000", "[127.0.0.1:1", ":80"] {
            assert!(local(text).unwrap_err().contains("10.0.0.1:4000"), "{text}");
        }
    }

    #[test]
    fn limits_are_not_zero() {
        assert_eq!(limit("1ms"), Ok(Duration::from_millis(1)));
        assert!(limit("0").unwrap_err().contains("at least 1ms"));
    }
}

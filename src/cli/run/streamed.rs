//! The streaming protocol, from the client's side; [`services::Exec`](crate::services::Exec) describes it.

use std::io;

use super::{Options, Stop, print};
use crate::cli::exit::Exit;
use crate::client::Client;
use crate::codec::LengthPrefixed;
use crate::services::{STATUS, STDERR, STDOUT};

/// The largest frame of a reply that is taken.
const MAX_FRAME: usize = 1 << 20;

pub(super) fn run(options: &Options, token: &[u8]) -> Result<Exit, Stop> {
    let mut client = Client::connect(&options.target, LengthPrefixed::len32(MAX_FRAME), &options.connect)?;
    let words = options.words.iter().map(Vec::as_slice);
    let request: Vec<&[u8]> = [token].into_iter().chain(words).collect();
    client.queue(&request.join(&0))?;
    loop {
        let name = client.name().to_owned();
        let wrong = |what: &str| Stop::Because(format!("{name}: {what}"));
        let Some(frame) = client.receive(options.timeout)? else {
            return Err(wrong("the server closed the connection before the command had ended"));
        };
        match frame.split_first() {
            Some((&STDOUT, bytes)) => print(io::stdout().lock(), bytes)?,
            Some((&STDERR, bytes)) => print(io::stderr().lock(), bytes)?,
            Some((&STATUS, bytes)) => {
                let status = bytes.try_into().map(i32::from_be_bytes);
                return status.map(exit).map_err(|_| wrong("the server sent a status that is none"));
            }
            _ => return Err(wrong("the server does not speak this protocol; is it 'oneloop serve exec'?")),
        }
    }
}

/// 0 to 255 is the command's status; what is negative, a signal.
fn exit(status: i32) -> Exit {
    match u8::try_from(status) {
        Ok(status) => Exit::Command(status),
        Err(_) if (-64..0).contains(&status) => Exit::Signal(-status),
        Err(_) => super::OUR_FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_on_the_wire_is_an_exit_code() {
        for (status, expected) in [
            (0, Exit::Command(0)),
            (3, Exit::Command(3)),
            (255, Exit::Command(255)),
            (-15, Exit::Signal(15)),
            (256, Exit::Command(255)),
            (i32::MIN, Exit::Command(255)),
        ] {
            assert_eq!(exit(status), expected, "{status}");
        }
    }
}

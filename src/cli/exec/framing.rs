//! What `serve --framing` takes: the framings of messages, and a protocol of exec that is none.

use std::str::FromStr;

use super::super::args::{ServeArgs, ServiceName};
use crate::codec::Framing;

/// As the operator writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum ServeFraming {
    Codec(Framing),
    /// `length-ok`: decimal length, `OK` from the client, then the reply. Only exec has replies like that.
    LengthOk,
}

impl FromStr for ServeFraming {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "length-ok" => Ok(Self::LengthOk),
            _ => text
                .parse()
                .map(Self::Codec)
                .map_err(|error: crate::codec::ParseFramingError| error.to_string()),
        }
    }
}

/// Gives `args.framing` its meaning: how messages are cut.
///
/// # Errors
/// The service does not know that framing, or an option means nothing with it.
pub(in super::super) fn settle(args: &mut ServeArgs) -> Result<(), String> {
    let is_exec = args.service == ServiceName::Exec;
    args.framing = match &args.framing_name {
        None if is_exec => Framing::Len32,
        None => Framing::Raw,
        Some(ServeFraming::Codec(Framing::Len32Le)) | Some(ServeFraming::LengthOk) if is_exec => {
            check_raw_options(args)?;
            Framing::Raw
        }
        Some(ServeFraming::Codec(Framing::Len32)) if is_exec => Framing::Len32,
        Some(ServeFraming::Codec(other)) if is_exec => {
            return Err(format!(
                "'--framing {other}' cannot be used with 'serve exec': expected len32, or len32le or length-ok for the \
                 tutorials' clients"
            ));
        }
        Some(ServeFraming::Codec(framing)) => framing.clone(),
        Some(ServeFraming::LengthOk) => {
            return Err(format!(
                "'--framing length-ok' cannot be used with 'serve {}': only exec knows it, as in 'serve exec'",
                args.service
            ));
        }
    };
    Ok(())
}

fn check_raw_options(args: &ServeArgs) -> Result<(), String> {
    for (name, given) in
        [("--frame-timeout", args.frame_timeout.is_some()), ("--max-frame", args.max_frame.is_some())]
    {
        if given {
            return Err(format!(
                "'{name}' cannot be used with '--framing len32le' or 'length-ok': a request is what one read returned, so it \
                 is never unfinished and never too long; use --framing len32 or leave the option out"
            ));
        }
    }
    Ok(())
}

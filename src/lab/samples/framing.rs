//! Lengths that are sent, added up and split wrongly.

use socket2::Socket;

use crate::codec::{Decoder, LengthPrefixed};
use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::python::Python;
use crate::lab::tools::{net, script, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/samples/framing.rs",
    text: include_str!("framing.rs"),
    experiments: &[Z01, Z02, Z05],
};

const Z01: Experiment = Experiment {
    id: "Z01",
    core: true,
    title: "Remote commands, the client: adding up the running total loses data",
    claim: "`data += recv(1024); recvsize += len(data)` adds the running total: of a reply of 3000 bytes that arrives in reads of \
        1024 the loop stops after 2048, and the other 952 are taken for the next reply.",
    why: "Count with one variable: len(data). Our decoders compare the length of the buffer with the header.",
    source: "a tutorial's client for remote commands with a struct header",
    needs: &[Need::Python],
    run: a_running_total_is_added_up,
    helper: None,
};

const READERS: &str = "
def read_header():
    return struct.unpack('i', s.recv(4))[0]

def as_the_tutorial():
    size, data, recvsize = read_header(), b'', 0
    while recvsize < size:
        data += s.recv(1024)
        recvsize += len(data)
    return data

def corrected():
    size, data = read_header(), b''
    while len(data) < size:
        more = s.recv(min(1024, size - len(data)))
        if not more:
            raise EOFError
        data += more
    return data
";

fn a_running_total_is_added_up(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    let mut python = Python::with(&client)?;
    script::define(&mut python, READERS)?;
    lab.step("As the tutorial counts: a reply of 3000 bytes, and one of 4 behind it");
    two_replies(lab, &server, &client)?;
    let length = lab.call("python: len(as_the_tutorial())", python.ask("len(as_the_tutorial())"))?;
    lab.expect("bytes of the first reply, which has 3000", length, "2048");
    let left = lab.call("python: len(s.recv(65536))", python.ask("left = s.recv(65536)"))?;
    lab.expect("what it left was received", left, "None");
    let left = python.ask("len(left) - 8, struct.unpack('i', left[:4])[0]")?;
    lab.expect("bytes left over, and the next \"length\", which is text", left, "(952, 1633771873)");

    lab.step("With one count");
    two_replies(lab, &server, &client)?;
    let length = lab.call("python: len(corrected())", python.ask("len(corrected())"))?;
    lab.expect("bytes of the first reply", length, "3000");
    let next = lab.call("python: corrected()", python.ask("corrected()"))?;
    lab.expect("the second reply", next, "b'next'");
    Ok(())
}

/// Both are in the client's queue when this returns.
fn two_replies(lab: &mut Lab, from: &Socket, to: &Socket) -> Result<(), Stop> {
    for reply in [vec![b'a'; 3000], b"next".to_vec()] {
        let length = i32::try_from(reply.len()).unwrap_or(i32::MAX);
        let message = [&length.to_ne_bytes(), &reply[..]].concat();
        lab.call(format!("send(s, 4 bytes of length, {} bytes)", reply.len()), from.send(&message))?;
    }
    Ok(wait::queued(to, 3012)?)
}

const Z02: Experiment = Experiment {
    id: "Z02",
    core: false,
    title: "Remote commands, the header: native byte order, signed, and recv(4) may be short",
    claim: "struct.pack(\"i\", 5) is 05000000 on x86: read in network order it is 83886080. A negative or a huge value is accepted. \
        recv(4) can return 1 to 3 bytes, and unpack fails.",
    why: "Use u32::to_be_bytes and from_be_bytes, a greatest size, and wait for all four bytes. Our decoder does.",
    source: "a tutorial's server for remote commands; Python's struct, \"Byte Order, Size, and Alignment\"",
    needs: &[Need::Python],
    run: a_native_header,
    helper: None,
};

fn a_native_header(lab: &mut Lab) -> Result<(), Stop> {
    if cfg!(target_endian = "big") {
        return Err(Stop::skip("needs a little-endian machine"));
    }
    let (client, server) = net::pair()?;
    let mut python = Python::with(&client)?;
    lab.step("Byte order");
    let packed = lab.call("python: struct.pack('i', 5)", python.ask("struct.pack('i', 5).hex()"))?;
    lab.expect("five, as this machine has it", packed, "'05000000'");
    let network = u32::from_be_bytes(5i32.to_ne_bytes());
    lab.expect("the same bytes in network order", network, 83_886_080u32);

    lab.step("Any number is taken for a length");
    let header = "struct.unpack('i', s.recv(4))[0]";
    for length in [-1, i32::MAX] {
        lab.call(format!("send(s, {length} as 4 bytes)"), server.send(&length.to_ne_bytes()))?;
        wait::queued(&client, 4)?;
        let taken = lab.call(format!("python: {header}"), python.ask(header))?;
        lab.expect("the length it will read", taken, length.to_string());
        let decoded = LengthPrefixed::len32le(1024).decode(&length.to_le_bytes());
        lab.expect("our decoder, with a greatest size of 1024, refuses", decoded.is_err(), true);
    }

    lab.step("Two of four bytes have arrived");
    lab.call("send(s, 2 of 4 bytes)", server.send(&[5, 0]))?;
    wait::queued(&client, 2)?;
    let short = lab.call(format!("python: {header}"), python.ask(header))?;
    lab.expect("unpack", short, "error: unpack requires a buffer of 4 bytes");
    let decoded = LengthPrefixed::len32le(1024).decode(&[5, 0]);
    lab.expect("our decoder waits for more", matches!(decoded, Ok(None)), true);
    Ok(())
}

const Z05: Experiment = Experiment {
    id: "Z05",
    core: false,
    title: "Remote commands, the \"OK\" handshake: one more sticky packet breaks it",
    claim: "The length is sent as decimal text and read with recv(1024). If anything else follows it in the buffer (the next \
        message of a peer that does not wait), int() fails, or digits that follow become part of it; a length that is split \
        (\"12\" and \"000\") is read as 12.",
    why: "Even a length needs a delimiter or a fixed width. The extra round trip hides the problem, and does not solve it.",
    source: "a tutorial's client for remote commands, which answers the length with \"OK\"",
    needs: &[Need::Python],
    run: a_length_without_an_end,
    helper: None,
};

fn a_length_without_an_end(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    let mut python = Python::with(&client)?;
    let mut length = |lab: &mut Lab, sent: &str| -> Result<String, Stop> {
        const READ: &str = "int(s.recv(1024).decode())";
        lab.call(format!("send(s, \"{sent}\")"), server.send(sent.as_bytes()))?;
        wait::queued(&client, sent.len() as u64)?;
        Ok(lab.call(format!("python: {READ}"), python.ask(READ))?)
    };
    lab.step("The length alone: the server waits for \"OK\" before it goes on");
    let found = length(lab, "5")?;
    lab.expect("the length", found, "5");

    lab.step("The server does not wait: the text follows at once");
    let wrong = "ValueError: invalid literal for int() with base 10: '5hello'";
    let found = length(lab, "5hello")?;
    lab.expect("the length", found, wrong);

    lab.step("The same, and the text is \"12345\"");
    let found = length(lab, "512345")?;
    lab.expect("the length, which is 5", found, "512345");

    lab.step("The length is 12000, and its first two digits arrive before the others");
    let found = length(lab, "12")?;
    lab.expect("the length", found, "12");
    let found = length(lab, "000")?;
    lab.expect("and the rest of it is taken for the next", found, "0");
    Ok(())
}

//! A stream has no boundaries: sends stick together, and are cut anywhere.

use std::io;

use encoding_rs::GBK;
use rustix::net::sockopt::set_tcp_quickack;
use socket2::Socket;

use crate::lab::experiment::{Experiment, Need, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::promptly::promptly;
use crate::lab::tools::tcp_info::TcpInfo;
use crate::lab::tools::{net, take, wait};

pub(super) const PAGE: Page = Page {
    path: "src/lab/datagrams/stream.rs",
    text: include_str!("stream.rs"),
    experiments: &[D01, D02, D03],
};

const D01: Experiment = Experiment {
    id: "D01",
    core: true,
    title: "Sticky packets, sender side: two sends, one recv",
    claim: "send(b\"I'm \") and send(b\"Lyon\"), when both have arrived: recv(1024) returns b\"I'm Lyon\". With Nagle and an \
        unacknowledged first segment the later small writes really travel in one segment (2 segments with data for 10 sends of \
        one byte); with TCP_NODELAY there are 10 segments, and recv STILL merges them.",
    why: "TCP_NODELAY does not restore the boundaries of messages. Framing must be in the protocol.",
    source: "RFC 9293 3.7.4 (Nagle); tcp(7) TCP_NODELAY",
    needs: &[Need::Python],
    run: two_sends_one_recv,
    helper: None,
};

fn two_sends_one_recv(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("Two sends that have both arrived, and one recv");
    let (client, server) = net::pair()?;
    lab.call("send(c, \"I'm \")", client.send(b"I'm "))?;
    lab.call("send(c, \"Lyon\")", client.send(b"Lyon"))?;
    wait::queued(&server, 8)?;
    let merged = lab.call("recv(s, 1024)", take::bytes(&server, 1024))?;
    lab.expect("what one recv returns", merged, b"I'm Lyon");

    lab.step("Nagle: ten sends of one byte, to a receiver that delays its acknowledgements");
    let (_, segments) = ten_sends(lab, false)?;
    lab.expect("segments with data", segments, 2u64);

    lab.step("TCP_NODELAY: ten sends of one byte");
    let (server, segments) = ten_sends(lab, true)?;
    lab.expect("segments with data", segments, 10u64);
    let merged = lab.call("recv(s, 1024)", take::bytes(&server, 1024))?;
    lab.expect("what one recv returns", merged, b"0123456789");
    Ok(())
}

/// Sends ten digits, one by one, and waits until all have arrived: the receiver, and in how many segments they came.
fn ten_sends(lab: &mut Lab, no_delay: bool) -> Result<(Socket, u64), Stop> {
    let (client, server) = promptly(|| {
        let (client, server) = net::pair()?;
        client.set_tcp_nodelay(no_delay)?;
        set_tcp_quickack(&server, false)?;
        b"0123456789".chunks(1).try_for_each(|digit| client.send(digit).map(drop))?;
        Ok((client, server))
    })?;
    lab.call(format!("setsockopt(c, TCP_NODELAY, {})", u8::from(no_delay)), Ok::<_, io::Error>(()))?;
    lab.call("setsockopt(s, TCP_QUICKACK, 0)", Ok::<_, io::Error>(()))?;
    lab.call("send(c, 1), ten times", Ok::<_, io::Error>(()))?;
    wait::queued(&server, 10)?;
    Ok((server, TcpInfo::of(&client)?.segments()?))
}

const D02: Experiment = Experiment {
    id: "D02",
    core: true,
    title: "Sticky packets, receiver side: what was not read is in front of what comes",
    claim: "4 bytes are sent and recv(1) gives b\"I\"; 4 more are sent, and recv(7) gives b\"'m Lyon\".",
    why: "The receive buffer is one queue of bytes; how the program slices it has nothing to do with the sends.",
    source: "RFC 9293 3.9.1 (the stream of octets); UNP 2.11",
    needs: &[],
    run: one_queue_of_bytes,
    helper: None,
};

fn one_queue_of_bytes(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    lab.step("Four bytes are sent, and one is read");
    lab.call("send(c, \"I'm \")", client.send(b"I'm "))?;
    wait::queued(&server, 4)?;
    let first = lab.call("recv(s, 1)", take::bytes(&server, 1))?;
    lab.expect("the first recv", first, b"I");

    lab.step("Four more are sent, and seven are read");
    lab.call("send(c, \"Lyon\")", client.send(b"Lyon"))?;
    wait::queued(&server, 7)?;
    let second = lab.call("recv(s, 7)", take::bytes(&server, 7))?;
    lab.expect("the second recv: the rest of one send, and another", second, b"'m Lyon");
    Ok(())
}

const D03: Experiment = Experiment {
    id: "D03",
    core: true,
    title: "Splitting: one send, many recvs, even inside a character",
    claim: "One send of 3000 bytes is read as 1024 + 1024 + 952 with recv(1024). A character of several bytes (UTF-8, GBK) that \
        is cut at the boundary makes decoding of the piece fail; decoding after reassembly works.",
    why: "Decode whole frames only, or use an incremental decoder. Tutorials decode what a single recv returned.",
    source: "recv(2); The Unicode Standard 3.9 (ill-formed sequences); std::str::from_utf8",
    needs: &[],
    run: cut_inside_a_character,
    helper: None,
};

fn cut_inside_a_character(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("3000 bytes of UTF-8, whose 1024th is the first half of a character, are sent at once");
    let text = format!("{}\u{e9}{}", "x".repeat(1023), "y".repeat(1975));
    let pieces = received_in_pieces(lab, text.as_bytes())?;
    let sizes: Vec<usize> = pieces.iter().map(Vec::len).collect();
    lab.expect("the sizes of what recv(1024) returned", format!("{sizes:?}"), "[1024, 1024, 952]");
    let decodes = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    lab.expect("the first piece is UTF-8", decodes(&pieces[0]), false);
    lab.expect("the second piece is UTF-8", decodes(&pieces[1]), false);
    lab.expect("all of it is what was sent", pieces.concat() == text.as_bytes(), true);
    lab.expect("all of it is UTF-8", decodes(&pieces.concat()), true);

    lab.step("The same in GBK, with a character of two bytes across the boundary");
    let text = format!("{}\u{4e2d}{}", "x".repeat(1023), "y".repeat(1975));
    let pieces = received_in_pieces(lab, &GBK.encode(&text).0)?;
    let decodes = |bytes: &[u8]| GBK.decode_without_bom_handling_and_without_replacement(bytes).is_some();
    lab.expect("the first piece is GBK", decodes(&pieces[0]), false);
    lab.expect("all of it is GBK", decodes(&pieces.concat()), true);
    Ok(())
}

/// Sends all at once, and reads it by recv(1024) when it has arrived.
fn received_in_pieces(lab: &mut Lab, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Stop> {
    let (client, server) = net::pair()?;
    lab.call(format!("send(c, {})", bytes.len()), client.send(bytes))?;
    wait::queued(&server, bytes.len() as u64)?;
    let mut pieces = Vec::new();
    while pieces.iter().map(Vec::len).sum::<usize>() < bytes.len() {
        let piece = take::bytes(&server, 1024)?;
        lab.call("recv(s, 1024)", Ok::<_, io::Error>(piece.len()))?;
        pieces.push(piece);
    }
    Ok(pieces)
}

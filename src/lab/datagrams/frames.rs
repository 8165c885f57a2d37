//! What a stream needs to carry messages.

use std::io;

use socket2::Socket;

use crate::codec::{Decoder, LengthPrefixed};
use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::{net, take, wait};

pub(super) const PAGE: Page =
    Page { path: "src/lab/datagrams/frames.rs", text: include_str!("frames.rs"), experiments: &[D06] };

const D06: Experiment = Experiment {
    id: "D06",
    core: false,
    title: "Length-prefixed framing survives every possible split",
    claim: "A stream of 3 frames (one of them empty) that arrives cut at every pair of positions, and byte by byte, always \
        decodes to the same 3 frames; \"one recv is one message\" is right only where the cuts happen to be between frames.",
    why: "This property (all splits) is the right unit test of a decoder, and the one of this project has it.",
    source: "src/codec/length_prefixed.rs: a big-endian u32 and a limit of size",
    needs: &[],
    run: every_split,
    helper: None,
};

/// Three frames, of 2, 0 and 3 bytes.
const STREAM: &[u8] = b"\0\0\0\x02hi\0\0\0\0\0\0\0\x03you";
const FRAMES: [&[u8]; 3] = [b"hi", b"", b"you"];

fn every_split(lab: &mut Lab) -> Result<(), Stop> {
    let (client, server) = net::pair()?;
    client.set_tcp_nodelay(true)?;
    lab.step("The stream is sent in three pieces, cut at every pair of positions; each is read before the next is sent");
    let (mut splits, mut decoded, mut naive) = (0, 0, 0);
    for second in 0..=STREAM.len() {
        for first in 0..=second {
            let pieces = [&STREAM[..first], &STREAM[first..second], &STREAM[second..]];
            let received = sent_in(&client, &server, &pieces)?;
            splits += 1;
            decoded += usize::from(frames_of(&received)? == FRAMES);
            naive += usize::from(messages_of(&received) == FRAMES);
        }
    }
    lab.number("splits", splits, "the length of the stream");
    lab.expect("splits that decode to the three frames", decoded, splits);
    lab.expect("splits where one recv was one message: the cuts between the frames", naive, 1);

    lab.step("Byte by byte");
    let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
    let received = sent_in(&client, &server, &bytes)?;
    lab.expect("the three frames", frames_of(&received)? == FRAMES, true);

    lab.step("One send per frame, and one recv when all have arrived");
    for frame in [&STREAM[..6], &STREAM[6..10], &STREAM[10..]] {
        client.send(frame)?;
    }
    wait::queued(&server, STREAM.len() as u64)?;
    let received = vec![lab.call("recv(s, 64)", take::bytes(&server, 64))?];
    lab.expect("messages, if one recv were one", messages_of(&received).len(), 1usize);
    lab.expect("frames", frames_of(&received)?.len(), 3usize);
    Ok(())
}

/// What recv returned for each piece that is not empty.
fn sent_in(client: &Socket, server: &Socket, pieces: &[&[u8]]) -> io::Result<Vec<Vec<u8>>> {
    let mut received = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        client.send(piece)?;
        wait::queued(server, piece.len() as u64)?;
        received.push(take::bytes(server, 64)?);
    }
    Ok(received)
}

/// The frames that the project's decoder finds while the pieces arrive.
fn frames_of(received: &[Vec<u8>]) -> io::Result<Vec<Vec<u8>>> {
    let mut decoder = LengthPrefixed::len32(1024);
    let (mut arrived, mut frames) = (Vec::new(), Vec::new());
    for piece in received {
        arrived.extend_from_slice(piece);
        while let Some(frame) = decoder.decode(&arrived).map_err(io::Error::other)? {
            frames.push(arrived[frame.payload].to_vec());
            arrived.drain(..frame.consumed);
        }
    }
    Ok(frames)
}

/// What a program gets that takes each recv for one message, and its first 4 bytes for the length.
fn messages_of(received: &[Vec<u8>]) -> Vec<Vec<u8>> {
    received.iter().map(|message| message.get(4..).unwrap_or_default().to_vec()).collect()
}

//! Pipes: how much they hold, what is written in one piece, and how they end.

use std::io;
use std::os::fd::AsFd;

use rustix::io::{read, write};
use rustix::pipe::{PIPE_BUF, PipeFlags, fcntl_getpipe_size, pipe_with};

use crate::lab::experiment::{Experiment, Page};
use crate::lab::notebook::{Lab, Stop};
use crate::lab::tools::descriptor::{flag, is_nonblocking, set_nonblocking};

pub(super) const PAGE: Page =
    Page { path: "src/lab/unix/pipes.rs", text: include_str!("pipes.rs"), experiments: &[U05] };

const U05: Experiment = Experiment {
    id: "U05",
    core: true,
    title: "Pipes: capacity, EAGAIN, PIPE_BUF atomicity, EOF",
    claim: "A default pipe holds 65536 bytes (16 pages; fewer for a user who has very many). Non-blocking write of n <= PIPE_BUF \
        (4096) is all or nothing: EAGAIN if it does not fit entirely; n > PIPE_BUF may be partial. Read: EAGAIN while a writer \
        exists, 0 when none. The two ends have separate O_NONBLOCK.",
    why: "Self-pipe wakeups and child stdout in a reactor. Multiple writers may share a pipe only for records <= 4096.",
    source: "pipe(7) \"Pipe capacity\", \"PIPE_BUF\"; write(2)",
    needs: &[],
    run: what_a_pipe_holds,
    helper: None,
};

fn what_a_pipe_holds(lab: &mut Lab) -> Result<(), Stop> {
    lab.step("A pipe; each end is an open file of its own");
    let (reader, writer) = lab_pipe(lab)?;
    set_nonblocking(&writer, true)?;
    lab.expect("O_NONBLOCK of the end that was set", flag(is_nonblocking(&writer)?), "set");
    lab.expect("O_NONBLOCK of the other", flag(is_nonblocking(&reader)?), "clear");
    set_nonblocking(&reader, true)?;

    lab.step("Nothing to read, while somebody could write");
    let result = lab.call("read(r, 16)", read(&reader, &mut [0; 16]));
    lab.expect("read from an empty pipe", result, "EAGAIN");

    lab.step("It is filled with writes of PIPE_BUF until one fails");
    let capacity = lab.call("fcntl(w, F_GETPIPE_SZ)", fcntl_getpipe_size(&writer))?;
    let taken = fill(&writer)?;
    lab.expect("bytes it took, as F_GETPIPE_SZ said", taken, capacity);
    lab.number("its capacity, bytes", capacity, "the page size; fs.pipe-user-pages-soft");
    all_or_nothing(lab, &reader, &writer)?;

    lab.step("The writer is gone: first what is left, then the end");
    drop(writer);
    lab.call("close(w)", Ok::<_, io::Error>(()))?;
    let left = read_all(&reader)?;
    lab.expect_that("bytes left", "more than 0", left, left > 0);
    let result = lab.call("read(r, 16)", read(&reader, &mut [0; 16]));
    lab.expect("read, without a writer", result, "0");

    lab.step("The reader is gone (we ignore SIGPIPE, as every Rust program does)");
    let (reader, writer) = lab_pipe(lab)?;
    drop(reader);
    let result = lab.call("write(w, \"x\")", write(&writer, b"x"));
    lab.expect("write, without a reader", result, "EPIPE");
    Ok(())
}

fn lab_pipe(lab: &mut Lab) -> io::Result<(std::os::fd::OwnedFd, std::os::fd::OwnedFd)> {
    let ends = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from);
    lab.call("pipe2(O_CLOEXEC)", ends)
}

fn all_or_nothing(lab: &mut Lab, reader: impl AsFd, writer: impl AsFd) -> Result<(), Stop> {
    lab.step("There is room for one byte less than PIPE_BUF: a write of PIPE_BUF is refused, one that fits is taken");
    read_exactly(&reader, PIPE_BUF)?;
    lab.call("write(w, 1)", write(&writer, &[0]))?;
    let result = lab.call("write(w, PIPE_BUF)", write(&writer, &[0; PIPE_BUF]));
    lab.expect("a write of PIPE_BUF", result, "EAGAIN");
    let result = lab.call("write(w, PIPE_BUF - 1)", write(&writer, &[0; PIPE_BUF - 1]));
    lab.expect("a write of PIPE_BUF - 1", result, PIPE_BUF - 1);

    lab.step("There is room for two times PIPE_BUF: a larger write is taken in part");
    read_exactly(&reader, 2 * PIPE_BUF)?;
    let size = 3 * PIPE_BUF;
    let taken = lab.call("write(w, 3 * PIPE_BUF)", write(&writer, &vec![0; size]))?;
    lab.expect_that("bytes of it taken", "more than 0, less than all", taken, 0 < taken && taken < size);
    Ok(())
}

/// Writes PIPE_BUF bytes at a time until EAGAIN; returns how many the pipe took.
fn fill(writer: impl AsFd) -> io::Result<usize> {
    let mut taken = 0;
    loop {
        match write(&writer, &[0; PIPE_BUF]) {
            Ok(count) => taken += count,
            Err(rustix::io::Errno::AGAIN) => return Ok(taken),
            Err(error) => return Err(error.into()),
        }
    }
}

fn read_exactly(reader: impl AsFd, count: usize) -> io::Result<()> {
    match read(reader, &mut vec![0; count])? {
        all if all == count => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn read_all(reader: impl AsFd) -> io::Result<usize> {
    let mut total = 0;
    loop {
        match read(&reader, &mut [0; PIPE_BUF])? {
            0 => return Ok(total),
            count => total += count,
        }
    }
}

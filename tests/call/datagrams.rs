//! UDP: one message is one datagram, and so is its reply.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::peers::*;
use crate::support::PATIENCE;

/// Whom a datagram came from, and what it was.
type Heard = (SocketAddr, Vec<u8>);

/// Answers each datagram with what `answer` makes of it, until `count` have come. Hands on what it heard.
fn serve(
    count: usize,
    mut answer: impl FnMut(usize, &[u8]) -> Vec<Vec<u8>> + Send + 'static,
) -> (String, Receiver<Heard>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}", socket.local_addr().unwrap());
    let (heard, all) = channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_535];
        for number in 0..count {
            let (len, from) = socket.recv_from(&mut buffer).expect("it is bound");
            let _ = heard.send((from, buffer[..len].to_vec()));
            for reply in answer(number, &buffer[..len]) {
                socket.send_to(&reply, from).expect("it is bound");
            }
        }
    });
    (url, all)
}

fn greet(_: usize, name: &[u8]) -> Vec<Vec<u8>> {
    vec![[b"Hello, ", name, b"!"].concat()]
}

#[test]
fn three_names_are_greeted() {
    let (url, heard) = serve(3, greet);
    call(&url, &["Travis", "EDISON", "JOHN"]).expect("Hello, Travis!\nHello, EDISON!\nHello, JOHN!\n");
    let heard: Vec<Heard> = heard.try_iter().collect();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|(from, _)| *from == heard[0].0), "one socket sends them all");
}

#[test]
fn lines_of_standard_input_are_datagrams_and_an_empty_one_is_one_too() {
    let (url, heard) = serve(3, |_, message| vec![message.to_vec()]);
    call_with(&url, &[], b"a\n\nb\r\n").expect("a\n\nb\n");
    let heard: Vec<Vec<u8>> = heard.try_iter().map(|(_, message)| message).collect();
    assert_eq!(heard, [&b"a"[..], b"", b"b"]);
}

#[test]
fn the_largest_datagram_comes_back_whole() {
    let folder = Folder::new("datagram");
    let mut sent = noise(65_506);
    sent.push(b'\n');
    let file = folder.file("sent", &sent);
    let (url, _) = serve(1, |_, message| vec![message.to_vec()]);
    let called = call(&url, &["--file", &file]);
    assert_eq!((called.status.code(), called.stderr.as_str()), (Some(0), ""));
    assert!(called.stdout == sent, "{} bytes came back", called.stdout.len());
}

#[test]
fn a_larger_one_is_refused() {
    let folder = Folder::new("too-large");
    let file = folder.file("sent", &vec![0; 65_508]);
    let (url, _) = serve(1, greet);
    call(&url, &["--file", &file]).expect_failure(1, "", &["65508", "65507"]);
    call(&url, &[&"x".repeat(65_508)]).expect_failure(2, "", &["65508", "65507"]);
}

#[test]
fn a_lost_datagram_is_sent_again() {
    let (url, heard) = serve(3, |number, name| if number == 1 { greet(number, name) } else { Vec::new() });
    let called = call(&url, &["--retries", "5", "--timeout", "300ms", "-q", "Travis"]);
    called.expect("Hello, Travis!\n");
    let heard: Vec<Vec<u8>> = heard.try_iter().map(|(_, message)| message).collect();
    // On a machine that is very busy it may have been sent once more.
    assert!(heard.len() >= 2 && heard.iter().all(|message| message == b"Travis"), "{heard:?}");
}

#[test]
fn no_reply_in_time_is_told_with_how_often_it_was_sent() {
    let (url, heard) = serve(3, |_, _| Vec::new());
    let called = call(&url, &["--retries", "2", "--timeout", "50ms", "-q", "a", "b"]);
    called.expect_failure(1, "", &[&url, "no reply", "50ms", "times sent: 3", "--retries"]);
    assert_eq!(heard.iter().take(3).count(), 3);
}

#[test]
fn without_retries_it_is_sent_once() {
    let (url, _) = serve(1, |_, _| Vec::new());
    call(&url, &["--timeout", "50ms", "a"]).expect_failure(1, "", &["times sent: 1"]);
}

#[test]
fn nobody_listens() {
    // It keeps the port, and hears nobody but its peer: for everybody else nobody listens there.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect("127.0.0.1:1").unwrap();
    let url = format!("udp://{}", socket.local_addr().unwrap());
    call(&url, &["a"]).expect_failure(1, "", &[&url, "connection refused", "ICMP"]);
}

#[test]
fn the_local_address_is_the_one_asked_for() {
    let (url, heard) = serve(1, greet);
    call(&url, &["--bind", "127.0.0.2", "a"]).expect("Hello, a!\n");
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap().0.ip().to_string(), "127.0.0.2");
}

#[test]
fn datagrams_nobody_answers_can_be_sent_too() {
    let (url, heard) = serve(2, |_, _| Vec::new());
    call(&url, &["--no-reply", "--hex", "00ff", "01"]).expect("");
    let heard = [(); 2].map(|()| heard.recv_timeout(PATIENCE).unwrap().1);
    assert_eq!(heard, [vec![0, 255], vec![1]]);
}

#[test]
fn a_second_reply_is_none_to_the_next_message() {
    let (url, _) = serve(2, |number, _| {
        let reply = |text: &str| format!("{number}{text}").into_bytes();
        vec![reply("a"), reply("b")]
    });
    let mut calling = Calling::start(&url, &[]);
    calling.say("x\n");
    assert_eq!([calling.line(), calling.line()], ["0a\n", "0b\n"]);
    calling.say("y\n");
    assert_eq!([calling.line(), calling.line()], ["1a\n", "1b\n"]);
    calling.stdin = None;
    calling.wait().expect("");
}

//! Bodies: who waits, who is slow, and who does not take what is sent back.

use super::*;

#[test]
fn a_client_that_waits_is_told_to_go_on_and_one_that_does_not_is_not() {
    let head = "POST /echo HTTP/1.1\r\nHost: nas\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut waits = pair();
    let heard = String::from_utf8(waits.send(head.as_bytes())).unwrap();
    assert!(heard.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{heard}");
    assert_eq!(waits.send(b"ab"), b"ab");
    assert_eq!(hear(&format!("{head}ab")), (echoed("ab"), false));
    let old = head.replace("1.1\r\n", "1.0\r\n");
    assert!(!hear(&old).0.contains("100 Continue"));
    let mut refused = pair();
    let head = head.replace("POST /echo", "GET /json");
    assert_eq!(refused.send(head.as_bytes()), b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(refused.send(b"ab"), ok("application/json", "{\"message\":\"Hello, World!\"}").as_bytes());
}

#[test]
fn a_body_must_move_but_need_not_hurry() {
    let config = HttpConfig { max_body: 1 << 20, ..config() };
    let start = |path: &str| {
        let mut pair = pair_with(config.clone(), Limits::default());
        let head = format!("POST {path} HTTP/1.1\r\nHost: nas\r\nContent-Length: 100000\r\n\r\n");
        pair.send(head.as_bytes());
        pair.send(b"x");
        pair
    };
    let mut steady = start("/plaintext");
    for _ in 0..6 {
        steady.send(&[b'x'; 15_000]);
        assert_eq!(steady.advance(Duration::from_secs(30)), b"");
    }
    let heard = steady.send(&[b'x'; 9_999]);
    assert_eq!(split(std::str::from_utf8(&heard).unwrap()).0, "405");
    // Nothing is left of its timer.
    assert_eq!(steady.advance(Duration::from_secs(3000)), b"");
    assert_eq!(steady.close_reason(), None);

    for (path, status) in [("/plaintext", Some("408")), ("/echo", None)] {
        let mut slow = start(path);
        for _ in 0..29 {
            slow.send(&[b'x'; 400]);
            let _ = slow.advance(Duration::from_secs(1));
            assert!(!slow.is_write_shut());
        }
        let heard = String::from_utf8(slow.advance(Duration::from_secs(2))).unwrap();
        assert_eq!(status, (!heard.is_empty()).then(|| split(&heard).0), "{path}");
        assert!(slow.is_write_shut(), "{path}");
    }
}

#[test]
fn a_client_that_does_not_take_its_echo_is_not_called_slow() {
    let config = HttpConfig { max_body: 1 << 30, ..config() };
    let limits = Limits { write: None, ..Limits::default() };
    let mut pair = pair_with(config, limits);
    pair.set_room(0);
    pair.send(b"POST /echo HTTP/1.1\r\nHost: nas\r\nContent-Length: 200000\r\n\r\n");
    for _ in 0..4 {
        pair.send(&[b'x'; 50_000]);
    }
    pair.advance(Duration::from_secs(600));
    assert!(pair.buffered() < 200_000 && !pair.is_write_shut());
    // It takes a little, but not so much that we read on.
    let mut heard = pair.set_room(20_000);
    pair.advance(Duration::from_secs(600));
    assert!(!pair.is_write_shut());
    heard.extend(pair.set_room(usize::MAX));
    assert!(heard.ends_with(&[b'x'; 200_000]));
}

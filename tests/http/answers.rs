//! What each path answers, on every model.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::client::Client;
use crate::{MODELS, start};

#[test]
fn connections_are_kept_and_pipelines_answered_in_order() {
    for model in MODELS {
        let server = start(model, &[]);
        let mut client = Client::new(server.connect());
        for _ in 0..3 {
            assert_eq!(client.get("/plaintext", "").text(), "Hello, World!", "{model}");
            assert_eq!(client.get("/json", "").text(), "{\"message\":\"Hello, World!\"}", "{model}");
        }
        let request = |number: usize| format!("GET /bytes/{number} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        client.send(&(0..100).map(request).collect::<String>());
        for number in 0..100 {
            assert_eq!(client.answer().body.len(), number, "{model}");
        }
        let last = client.get("/", "Connection: close\r\n");
        assert!(last.text().contains("<h1>oneloop serve http</h1>"), "{model}");
        client.expect_end();
    }
}

#[test]
fn a_head_says_what_a_get_would_and_the_date_is_now() {
    for model in MODELS {
        let server = start(model, &[]);
        let mut client = Client::new(server.connect());
        for path in ["/plaintext", "/bytes/100000", "/none"] {
            client.send(&format!("HEAD {path} HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"));
            let head = client.head();
            let get = client.get(path, "");
            assert_eq!(
                (head.status, head.field("Content-Length")),
                (get.status, get.field("Content-Length"))
            );
        }
        let answer = client.get("/json", "");
        let date = oneloop::http::parse_http_date(answer.field("Date").as_bytes()).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let apart = now.abs_diff(date.duration_since(UNIX_EPOCH).unwrap());
        assert!(apart < Duration::from_secs(60), "{model}: {}", answer.head);
    }
}

#[test]
fn bodies_come_back_as_they_are_sent() {
    for model in MODELS {
        let server = start(model, &[]);
        let mut client = Client::new(server.connect());
        let text = "0123456789".repeat(50_000);
        // Half a megabyte each way: who sends all before it reads must still be served by a model that waits in its writes.
        let mut sender = client.stream.try_clone().unwrap();
        let body = text.clone();
        let writer = std::thread::spawn(move || {
            use std::io::Write;
            let head =
                format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
            sender.write_all(head.as_bytes()).unwrap();
            sender.write_all(body.as_bytes()).unwrap();
            let head = "PUT /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
            sender.write_all(head.as_bytes()).unwrap();
            for part in body.as_bytes().chunks(7777) {
                let chunk = [format!("{:X};a=b\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
                sender.write_all(&chunk).unwrap();
            }
            sender.write_all(b"0\r\nA: b\r\n\r\n").unwrap();
        });
        for _ in 0..2 {
            let answer = client.answer();
            assert!(answer.status == 200 && answer.text() == text, "{model}: {}", answer.head);
        }
        writer.join().unwrap();
        assert_eq!(client.get("/plaintext", "").status, 200);
    }
}

#[test]
fn who_waits_for_it_is_told_to_go_on() {
    for model in MODELS {
        let server = start(model, &[]);
        let mut client = Client::new(server.connect());
        let head =
            "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        client.send(head);
        assert_eq!(client.head().status, 100, "{model}");
        client.send("ab");
        assert_eq!(client.answer().text(), "ab", "{model}");
    }
}

#[test]
fn a_delay_holds_up_nobody_else() {
    for model in ["loop", "threads", "spin"] {
        let server = start(model, &[]);
        let mut waiting: Vec<Client> = (0..20).map(|_| Client::new(server.connect())).collect();
        for client in &mut waiting {
            client.send("GET /delay/1500 HTTP/1.1\r\nHost: localhost\r\n\r\n");
        }
        let mut other = Client::new(server.connect());
        for _ in 0..10 {
            assert_eq!(other.get("/plaintext", "").status, 200, "{model}");
        }
        let early = waiting.iter_mut().map(|client| usize::from(!client.is_quiet())).sum::<usize>();
        assert_eq!(early, 0, "{model}: answered before their time, or this machine is very slow");
        for client in &mut waiting {
            assert_eq!(client.answer().text(), "waited 1500 ms\n", "{model}");
        }
    }
}

#[test]
fn numbered_bytes_are_the_same_for_slow_and_quick_readers() {
    const COUNT: usize = 20_000_000;
    for model in MODELS {
        let server = start(model, &[]);
        let mut client = Client::new(server.connect());
        let answer = client.get(&format!("/bytes/{COUNT}"), "");
        assert_eq!(answer.body.len(), COUNT, "{model}");
        assert!(answer.body.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251), "{model}");
        assert_eq!(client.get("/plaintext", "").status, 200, "{model}");
    }
}

#[test]
fn a_drain_ends_connections_at_rest_and_answers_what_is_begun() {
    for model in ["loop", "threads", "spin"] {
        let server = start(model, &["--drain", "20s"]);
        let mut idle = Client::new(server.connect());
        assert_eq!(idle.get("/plaintext", "").status, 200);
        let mut waiting = Client::new(server.connect());
        waiting.send("GET /delay/300 HTTP/1.1\r\nHost: localhost\r\n\r\n");
        // It has arrived when a later request of another connection is answered, on the loop.
        assert_eq!(idle.get("/plaintext", "").status, 200);
        server.signal(rustix::process::Signal::TERM);
        assert_eq!(waiting.answer().text(), "waited 300 ms\n", "{model}");
        waiting.expect_end();
        idle.expect_end();
        assert_eq!(server.wait().status.code(), Some(0), "{model}");
    }
}

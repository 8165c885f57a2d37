//! What `load http://…` sends, and which options go with it.

use super::args::{LoadArgs, LoadUrl, ProtocolName};
use super::checks::{has_banner, refuse_given};
use super::content::{Refusal, given_bytes};
use crate::codec::Framing;
use crate::http::{ClientRequest, Url};
use crate::load::{Content, Exchange, HttpRequest, Protocol};

/// Refuses what means nothing to HTTP, or only to it.
///
/// # Errors
/// What, why, and what would be accepted.
pub(super) fn check(args: &LoadArgs) -> Result<(), String> {
    let is_http = |url: &&LoadUrl| url.http.is_some();
    let (http, other) = (args.urls.iter().find(is_http), args.urls.iter().find(|url| !is_http(url)));
    match (http, other) {
        (Some(url), None) => {
            check_http(args, url.http.as_ref().map_or_else(String::new, Url::to_string).as_str())
        }
        (None, Some(url)) => check_other(args, &url.target.to_string()),
        (Some(_), Some(url)) => Err(format!(
            "'{}' cannot be loaded together with http://: one report cannot tell their answers apart; run load twice",
            url.target
        )),
        (None, None) => Ok(()),
    }
}

fn check_http(args: &LoadArgs, with: &str) -> Result<(), String> {
    let framing = format!("--framing {}", args.framing);
    let protocol = format!("--protocol {}", args.protocol.name());
    refuse_given(
        with,
        &[
            (
                &framing,
                args.framing != Framing::Raw,
                "HTTP says itself where a message ends; leave the option out",
            ),
            (&protocol, args.protocol != ProtocolName::Echo, "HTTP is the protocol; leave the option out"),
            (
                "--size",
                args.size.is_some(),
                "a request is as long as its URL, headers and body; give a body with --body",
            ),
            (
                "--send",
                args.send.is_some(),
                "the request is made of the URL; give a body with --body, a header with -H",
            ),
            ("--banner", has_banner(args), "an HTTP server does not speak first; leave the option out"),
        ],
    )?;
    let one_each = "each connection has one request; leave the option out";
    if !args.no_keep_alive {
        return Ok(());
    }
    refuse_given(
        "--no-keep-alive",
        &[
            ("--pipeline", args.pipeline.is_some_and(|many| many > 1), one_each),
            ("--lifetime", args.lifetime.is_some(), one_each),
        ],
    )
}

fn check_other(args: &LoadArgs, with: &str) -> Result<(), String> {
    let why = "only HTTP has it; load http://HOST:PORT/PATH, or leave the option out";
    refuse_given(
        with,
        &[
            ("--method", args.method.is_some(), why),
            ("--header", !args.headers.is_empty(), why),
            ("--body", args.body.is_some(), why),
            ("--no-keep-alive", args.no_keep_alive, "only HTTP has it; --lifetime makes connections anew"),
        ],
    )
}

/// What is said, if the targets are HTTP servers.
pub(super) fn exchange(args: &LoadArgs) -> Result<Option<Exchange>, Refusal> {
    let urls: Vec<&Url> = args.urls.iter().filter_map(|url| url.http.as_ref()).collect();
    if urls.is_empty() {
        return Ok(None);
    }
    let body = args.body.as_ref().map(|given| given_bytes("--body", given)).transpose()?;
    let method = args.method.as_deref().unwrap_or(if body.is_some() { "POST" } else { "GET" });
    let keep_alive = !args.no_keep_alive;
    let request = |url: &&Url| {
        let request = ClientRequest { method, url, fields: &args.headers, body: body.as_deref(), keep_alive };
        HttpRequest { url: url.to_string(), bytes: request.to_bytes() }
    };
    Ok(Some(Exchange {
        protocol: Protocol::Http { is_head_request: method == "HEAD", keep_alive },
        framing: Framing::Raw,
        content: Content::Requests(urls.iter().map(request).collect()),
        banner: Vec::new().into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::support::parse;
    use super::*;

    fn requests(arguments: &[&str]) -> Vec<String> {
        let exchange = parse(arguments).unwrap().plan.exchange;
        let Content::Requests(requests) = exchange.content else { panic!("it is HTTP") };
        requests.iter().map(|request| String::from_utf8(request.bytes.clone()).unwrap()).collect()
    }

    #[test]
    fn each_target_is_asked_for_its_own_url() {
        let all = requests(&["http://a:81/x?y", "http://[::1]/z", "-H", "X: 1", "--no-keep-alive"]);
        assert!(all[0].starts_with("GET /x?y HTTP/1.1\r\nHost: a:81\r\n"), "{}", all[0]);
        assert!(all[1].starts_with("GET /z HTTP/1.1\r\nHost: [::1]\r\n"), "{}", all[1]);
        assert!(
            all.iter().all(|one| one.contains("\r\nX: 1\r\n") && one.contains("\r\nConnection: close\r\n"))
        );
        let options = parse(&["http://a:81/x"]).unwrap();
        assert_eq!(options.targets, ["tcp://a:81".parse().unwrap()]);
        assert_eq!(
            options.plan.exchange.protocol,
            Protocol::Http { is_head_request: false, keep_alive: true }
        );
    }

    #[test]
    fn a_body_makes_it_a_post_unless_a_method_is_given() {
        let all = requests(&["http://a", "--body", "hi"]);
        assert!(all[0].starts_with("POST / HTTP/1.1\r\n") && all[0].ends_with("Content-Length: 2\r\n\r\nhi"));
        assert!(requests(&["http://a", "--body=", "-X", "PUT"])[0].starts_with("PUT / "));
        let head = parse(&["http://a", "-XHEAD"]).unwrap().plan.exchange.protocol;
        assert_eq!(head, Protocol::Http { is_head_request: true, keep_alive: true });
    }

    #[test]
    fn options_of_one_kind_of_target_are_refused_with_another() {
        for (arguments, expected) in [
            (&["http://a", "tcp://b:1"][..], "'tcp://b:1' cannot be loaded together with http://"),
            (&["http://a", "--framing=lines"], "'--framing lines' cannot be used with 'http://a/'"),
            (&["http://a", "--protocol=greet"], "'--protocol greet'"),
            (&["http://a", "--size=9"], "--body"),
            (&["http://a", "--send=9"], "--body"),
            (&["http://a", "--banner=9"], "does not speak first"),
            (
                &["http://a", "--no-keep-alive", "--pipeline=2"],
                "'--pipeline' cannot be used with '--no-keep-alive'",
            ),
            (&["http://a", "--no-keep-alive", "--lifetime=2s"], "'--lifetime'"),
            (&["http://a", "-X", "A B"], "expected a method"),
            (&["http://a", "-H", "Content-Length: 2"], "leave it out"),
            (&["http://a", "--body=@/no/such"], "cannot read '/no/such'"),
            (&["tcp://a:1", "-X", "GET"], "'--method' cannot be used with 'tcp://a:1'"),
            (&["tcp://a:1", "-H", "A: b"], "'--header'"),
            (&["tcp://a:1", "--body=x"], "'--body'"),
            (&["tcp://a:1", "--no-keep-alive"], "--lifetime makes connections anew"),
        ] {
            let failure = parse(arguments).unwrap_err();
            assert!(failure.message.contains(expected), "{expected}: {}", failure.message);
        }
    }
}

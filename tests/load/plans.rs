//! Plans for short runs.

use std::time::Duration;

use oneloop::Address;
use oneloop::codec::Framing;
use oneloop::load::{Arrival, Close, Content, Exchange, Plan, Protocol};

/// A closed run of half a second against `target`: 4 connections, messages of 64 bytes.
pub(crate) fn plan(target: &Address) -> Plan {
    Plan {
        targets: vec![target.clone()],
        connections: 4,
        arrival: Arrival::Closed,
        pipeline: 1,
        duration: Some(Duration::from_millis(500)),
        requests: None,
        warmup: Duration::ZERO,
        timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(5),
        connect_rate: None,
        lifetime: None,
        close: Close::Rst,
        sources: None,
        loops: 1,
        pin: false,
        exchange: Exchange {
            protocol: Protocol::Echo,
            framing: Framing::Raw,
            content: Content::Pattern(64),
            banner: Vec::new().into(),
        },
        verify: true,
    }
}

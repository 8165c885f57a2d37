//! Whom not to answer, so that two servers cannot be made to answer each other for ever (CVE-2024-2169).

use crate::address::Endpoint;

/// Ports below this belong to services of the system: what comes from there was most likely forged to reach them.
const FIRST_CLIENT_PORT: u16 = 1024;

/// Which source ports are answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    /// Answer everybody.
    pub any_source_port: bool,
    /// The ports this server itself listens on.
    pub own_ports: Vec<u16>,
}

impl Guard {
    /// Whether a datagram from there may be answered.
    #[inline]
    #[must_use]
    pub fn permits(&self, from: &Endpoint) -> bool {
        // Nobody else has a Unix socket's name, and nobody can forge it.
        let Endpoint::Inet(from) = from else { return true };
        let port = from.port();
        self.any_source_port || (port >= FIRST_CLIENT_PORT && !self.own_ports.contains(&port))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::address::UnixName;

    #[test]
    fn low_ports_and_our_own_are_refused_unless_any_is_wanted() {
        let mut guard = Guard { any_source_port: false, own_ports: vec![9999, 7000] };
        for (port, permitted) in
            [(0, false), (7, false), (1023, false), (1024, true), (7000, false), (9999, false)]
        {
            let from = SocketAddr::from(([10, 0, 0, 1], port)).into();
            assert_eq!(guard.permits(&from), permitted, "{port}");
        }
        guard.any_source_port = true;
        assert!(guard.permits(&SocketAddr::from(([10, 0, 0, 1], 7)).into()));
        guard.any_source_port = false;
        assert!(guard.permits(&Endpoint::Unix(UnixName::Unnamed.into())));
    }
}

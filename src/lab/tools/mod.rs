//! What experiments have in common. Each file is one idea; none of them asserts anything.

pub mod arrival;
pub mod asleep;
pub mod capability;
pub mod descriptor;
pub mod drain;
pub mod ends;
pub mod epoll;
pub mod fill;
pub mod hangup;
pub mod helper;
pub mod namespace;
pub mod net;
pub mod proc_net;
pub mod proc_udp;
pub mod promptly;
pub mod python;
pub mod take;
pub mod tcp_info;
pub mod time_wait;
pub mod receive;
pub mod script;
pub mod tasks;
pub mod select;
pub mod udp_packet;
pub mod udp_queue;
pub mod wait;

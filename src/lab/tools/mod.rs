//! What experiments have in common. Each file is one idea; none of them asserts anything.

pub mod arrival;
pub mod asleep;
pub mod descriptor;
pub mod drain;
pub mod epoll;
pub mod fill;
pub mod helper;
pub mod namespace;
pub mod net;
pub mod proc_net;
pub mod python;
pub mod select;
pub mod udp_packet;
pub mod udp_queue;
pub mod wait;

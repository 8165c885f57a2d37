//! What experiments have in common. Each file is one idea; none of them asserts anything.

pub mod asleep;
pub mod connecting;
pub mod descriptor;
pub mod drain;
pub mod epoll;
pub mod fill;
pub mod folder;
pub mod helper;
pub mod namespace;
pub mod net;
pub mod proc_net;
pub mod python;
pub mod wait;

//! What must be true of datagrams when a run is over: every one is accounted for, by both sides alike.

use super::super::world::World;
use super::{Socket, Tally};
use crate::reactor::Stats;

/// The first thing that is wrong, if any.
pub(in super::super) fn judge(world: &World, stats: &Stats) -> Result<(), String> {
    let (mail, udp) = (&world.mail, &stats.datagrams);
    let Tally { sent, refused, dropped, left, received, owed, answered, lost, .. } = mail.counted;
    for (name, kernel, reactor) in [
        ("received", received, udp.received),
        ("sent", answered, udp.sent),
        ("guarded", mail.counted.guarded, udp.guarded),
        ("send_errors", lost, udp.send_errors),
        ("recv_errors", mail.counted.recv_errors, udp.recv_errors),
        ("kernel_drops", dropped, stats.kernel_drops),
    ] {
        if kernel != reactor {
            return Err(format!("the reactor counts datagrams {name}={reactor}, the kernel {kernel}"));
        }
    }
    if sent != received + dropped + left + refused {
        return Err(format!("of {sent} datagrams {received} were received, {dropped} dropped, {left} left"));
    }
    let gone = answered + lost + udp.overflow;
    if owed < gone || (owed > gone && !world.was_cut_off()) {
        return Err(format!("of {owed} replies {answered} were sent and {} counted", gone - answered));
    }
    let has_room = |socket: &Socket| socket.peak <= mail.max_waiting;
    if udp.overflow > 0 && mail.sockets[..mail.count].iter().all(has_room) {
        return Err(format!("{} replies were dropped although there was room", udp.overflow));
    }
    Ok(())
}

"""A link between two network namespaces that loses and reorders packets: reorder.py NAME ADDRESS NAME ADDRESS.

Says `ready`, and when its standard input ends how many packets it passed on, dropped and let others overtake.
"""
import fcntl, os, random, select, struct, subprocess, sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
LOST, LATE = 3, 10  # of a hundred


def open_tun(number, name, address, peer):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    device = f"olr{os.getpid()}{number}"
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    for command in (
        f"ip link set {device} netns {name} name tun0",
        f"ip -n {name} addr add {address} peer {peer} dev tun0",
        f"ip -n {name} link set tun0 up",
    ):
        subprocess.run(command.split(), check=True)
    return fd


first, first_address, second, second_address = sys.argv[1:]
a = open_tun(0, first, first_address, second_address)
b = open_tun(1, second, second_address, first_address)
other = {a: b, b: a}
held = {a: [], b: []}  # by where they go: [packets that may still overtake it, packet]
passed = dropped = late = 0
chance = random.Random(1)


def put(to, packet):
    try:
        os.write(to, packet)
    except BlockingIOError:
        pass  # a full queue loses packets too


print("ready", flush=True)
while True:
    ready, _, _ = select.select([a, b, 0], [], [], 0.005)
    if 0 in ready:
        break
    if not ready:
        for to, waiting in held.items():
            while waiting:
                put(to, waiting.pop(0)[1])
    for fd in ready:
        packet, to = os.read(fd, 65536), other[fd]
        luck = chance.randrange(100)
        if luck < LOST:
            dropped += 1
        elif luck < LOST + LATE:
            late += 1
            held[to].append([chance.randrange(1, 6), packet])
        else:
            passed += 1
            put(to, packet)
            for entry in held[to]:
                entry[0] -= 1
            for entry in [entry for entry in held[to] if entry[0] == 0]:
                held[to].remove(entry)
                put(to, entry[1])
print(passed, dropped, late, flush=True)

"""A load generator that deceives itself: each connection waits for its answer before it sends again, and counts from then.

naive.py HOST PORT SECONDS echo|http, prints as wrk does.
"""
import socket
import sys
import threading
import time

host, port, seconds, kind = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
REQUEST = b"GET / HTTP/1.1\r\nHost: there\r\n\r\n" if kind == "http" else b"0123456789"
times = []


def one(until):
    peer = socket.create_connection((host, port), timeout=30)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while time.monotonic() < until:
        sent = time.monotonic()
        peer.sendall(REQUEST)
        answer = b""
        while not (answer.endswith(b"\r\n\r\nok\n") if kind == "http" else answer == REQUEST):
            got = peer.recv(4096)
            assert got, "the server closed"
            answer += got
        times.append(time.monotonic() - sent)


begun = time.monotonic()
threads = [threading.Thread(target=one, args=(begun + seconds,)) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
took = time.monotonic() - begun
times.sort()


def at(percent):
    return times[min(len(times) - 1, int(len(times) * percent / 100))] * 1e3


print("  Thread Stats   Avg      Stdev     Max   +/- Stdev")
print(f"    Latency   {sum(times) / len(times) * 1e3:.2f}ms  0.00ms  {times[-1] * 1e3:.2f}ms  90.00%")
print("  Latency Distribution")
for percent in (50, 75, 90, 99):
    print(f"     {percent}%  {at(percent):.2f}ms")
print(f"  {len(times)} requests in {took:.2f}s, 1.00KB read")

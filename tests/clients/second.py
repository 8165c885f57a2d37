"""Two clients of the acknowledging server at once: does the second one wait until the first one has left?

usage: second.py HOST PORT

The first says something and is answered. Then the second does, and prints its answer; or, when none comes within half a
second, `second waits`. The first says `exit` and leaves, and a second that had to wait prints what it is answered then.
"""

import socket
import sys

server = (sys.argv[1], int(sys.argv[2]))
first = socket.create_connection(server, timeout=30)
first.send(b"one")
print(first.recv(1024).decode("utf-8"))
second = socket.create_connection(server, timeout=30)
second.send(b"two")
second.settimeout(0.5)
waits = False
try:
    print(second.recv(1024).decode("utf-8"))
except socket.timeout:
    print("second waits")
    waits = True
first.send(b"exit")
print(repr(first.recv(1024)))
first.close()
if waits:
    second.settimeout(30)
    print(second.recv(1024).decode("utf-8"))
second.send(b"exit")
second.close()

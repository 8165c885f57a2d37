"""A client of the greeting server, in the manner of the tutorials: blocking calls, no framing.

usage: greeting.py HOST PORT BANNER [NAME]...

Reads the banner, sends each name by itself and without a line end, prints what one receive returns, says
`exit` and closes.
"""

import socket
import sys

host, port, banner, names = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]

family = socket.AF_INET6 if ":" in host else socket.AF_INET
client = socket.socket(family, socket.SOCK_STREAM)
client.settimeout(30)
client.connect((host, port))
if banner:
    print(client.recv(1024).decode("utf-8"))
for name in names:
    client.send(name.encode("utf-8"))
    print(client.recv(1024).decode("utf-8"))
client.send(b"exit")
client.close()

"""A client that sends whole lines, as nc and telnet do.

usage: lines.py HOST PORT END [LINE]...

END is lf or crlf. Sends each line with that end, prints what one receive returns, as it is, sends the line
`exit` and reads until the server has closed.
"""

import socket
import sys

host, port, lines = sys.argv[1], int(sys.argv[2]), sys.argv[4:]
end = {"lf": b"\n", "crlf": b"\r\n"}[sys.argv[3]]

with socket.create_connection((host, port), timeout=30) as client:
    for line in lines:
        client.sendall(line.encode("utf-8") + end)
        print(repr(client.recv(1024)))
    client.sendall(b"exit" + end)
    while rest := client.recv(1024):
        print("after exit:", repr(rest))
print("closed")

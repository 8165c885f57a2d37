"""A client of the greeting server over UDP, in the manner of the tutorials.

usage: udp_greeting.py HOST PORT NAME...

Sends each name as one datagram and prints the one that comes back.
"""

import socket
import sys

server = (sys.argv[1], int(sys.argv[2]))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(30)
for name in sys.argv[3:]:
    client.sendto(name.encode("utf-8"), server)
    print(client.recv(1024).decode("utf-8"))
client.close()

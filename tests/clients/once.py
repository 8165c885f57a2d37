"""A client of the one-shot server, in the manner of the tutorials: one message, one reply.

usage: once.py HOST PORT MESSAGE

Sends the message, prints what one receive returns, and then what the next one returns: the server has closed.
"""

import socket
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.settimeout(30)
client.connect((sys.argv[1], int(sys.argv[2])))
client.send(sys.argv[3].encode("utf-8"))
print(client.recv(1024).decode("utf-8"))
print(repr(client.recv(1024)))
client.close()

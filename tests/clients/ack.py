"""A client of the acknowledging server, in the manner of the tutorials: every message is answered, until `exit`.

usage: ack.py HOST PORT MESSAGE...

Sends each message by itself and prints what one receive returns; says `exit`, prints what comes then, and closes.
"""

import socket
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.settimeout(30)
client.connect((sys.argv[1], int(sys.argv[2])))
for message in sys.argv[3:]:
    client.send(message.encode("utf-8"))
    print(client.recv(1024).decode("utf-8"))
client.send(b"exit")
print(repr(client.recv(1024)))
client.close()

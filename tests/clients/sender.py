"""A sender for the TCP printer, in the manner of the tutorials: it sends and expects no answer.

usage: sender.py HOST PORT ENCODING MESSAGE

Prints its own address, so that what the printer shows can be told to be from it, and sends the message.
"""

import socket
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.settimeout(30)
client.connect((sys.argv[1], int(sys.argv[2])))
print("%s:%d" % client.getsockname())
client.send(sys.argv[4].encode(sys.argv[3]))
client.close()

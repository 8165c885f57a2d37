"""A sender for the UDP receiver, in the manner of the tutorials: bound to a port of its own choice, it expects no answer.

usage: udp_sender.py HOST PORT ENCODING MESSAGE...

Prints its own address, so that what the receiver shows can be told to be from it, and sends each message.
"""

import socket
import sys

sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind(("127.0.0.1", 0))
print("%s:%d" % sender.getsockname())
for message in sys.argv[4:]:
    sender.sendto(message.encode(sys.argv[3]), (sys.argv[1], int(sys.argv[2])))
sender.close()

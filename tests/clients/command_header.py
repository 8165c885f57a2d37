"""A remote command whose reply has its length in front, as a native int; reads in a loop until it has all."""
import socket
import struct
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect((sys.argv[1], int(sys.argv[2])))
for command in sys.argv[3:]:
    client.send(command.encode('utf-8'))
    size = struct.unpack('i', client.recv(4))[0]
    received = b''
    while len(received) < size:
        data = client.recv(1024)
        if not data:
            sys.exit('truncated')
        received += data
    print(size, received[:200].decode('utf-8').strip())
client.close()

"""A remote command whose length is announced as text and acknowledged before the reply comes."""
import socket
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect((sys.argv[1], int(sys.argv[2])))
for command in sys.argv[3:]:
    client.send(command.encode('utf-8'))
    size = int(client.recv(1024).decode('utf-8'))
    client.send('OK'.encode('utf-8'))
    received = b''
    while len(received) < size:
        data = client.recv(1024)
        if not data:
            sys.exit('truncated')
        received += data
    print(size, received[:200].decode('utf-8').strip())
client.close()

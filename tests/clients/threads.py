"""Many clients of the greeting server at once, one thread each, all waiting for the server's delay together.

usage: threads.py HOST PORT BANNER COUNT

Prints how many were answered rightly, and how long all of them took in milliseconds.
"""

import socket
import sys
import threading
import time

host, port, banner, count = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode("utf-8"), int(sys.argv[4])
names = ("Travis", "EDISON", "JOHN")
right = []


def converse(number):
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(30)
    client.connect((host, port))
    answers = [client.recv(1024)]
    for name in names:
        client.send(b"%s-%d" % (name.encode("utf-8"), number))
        answers.append(client.recv(1024))
    client.send(b"exit")
    client.close()
    expected = [banner] + [b"Hello, %s-%d!" % (name.encode("utf-8"), number) for name in names]
    if answers == expected:
        right.append(number)
    else:
        print("client", number, "got", answers)


begun = time.monotonic()
threads = [threading.Thread(target=converse, args=(number,)) for number in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(right), int((time.monotonic() - begun) * 1000))

#!/usr/bin/python3
"""A STUN server for tests: tells everyone who asks the address it was asked from (RFC 8489 section 14.2).

Takes one argument, its own IPv4 address. Prints one line when it listens on UDP port 3478, and ends when its
standard input closes.
"""
import os
import socket
import struct
import sys
import threading

COOKIE = 0x2112A442
BINDING_REQUEST, BINDING_SUCCESS, XOR_MAPPED_ADDRESS = 0x0001, 0x0101, 0x0020

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 3478))
print("listening", flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    request, (host, port) = server.recvfrom(1500)
    if len(request) < 20:
        continue
    kind, _, cookie = struct.unpack("!HHI", request[:8])
    if (kind, cookie) != (BINDING_REQUEST, COOKIE):
        continue
    (address,) = struct.unpack("!I", socket.inet_aton(host))
    value = struct.pack("!BBHI", 0, 1, port ^ (COOKIE >> 16), address ^ COOKIE)
    attribute = struct.pack("!HH", XOR_MAPPED_ADDRESS, len(value)) + value
    server.sendto(struct.pack("!HHI", BINDING_SUCCESS, len(attribute), COOKIE) + request[8:20] + attribute, (host, port))

"""Runs on real servers: answers on each given port with the host's name, as long as the other side asks.

    python3 answerer.py PROTOCOL:PORT...

PROTOCOL: tcp, udp, sctp. Listens on all addresses of both families. Standard library only.
"""

import contextlib
import socket
import struct
import sys
import threading

NAME = socket.gethostname().encode() + b"\n"
# Family -> level, the option that asks where datagrams were sent to, type and layout of what then comes along (Python
# has no name for IP_PKTINFO), and the same with the interface left open: to answer from there.
PACKET = {
    socket.AF_INET: (socket.IPPROTO_IP, 8, 8, struct.Struct("=I4s4s"), lambda words: (0, words[2], words[2])),
    socket.AF_INET6: (
        socket.IPPROTO_IPV6,
        socket.IPV6_RECVPKTINFO,
        socket.IPV6_PKTINFO,
        struct.Struct("=16sI"),
        lambda words: (words[0], 0),
    ),
}


def listen(protocol: str, port: int) -> socket.socket:
    """Make the socket of a port of a protocol with connections; a v6 one serves v4 as well."""
    number = socket.IPPROTO_SCTP if protocol == "sctp" else 0
    made = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, number)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind(("::", port))
    made.listen(64)
    return made


def answer_datagrams(family: socket.AddressFamily, port: int) -> None:
    """Answer each datagram from the address that it was sent to, which may be a VIP."""
    level, wanted, kind, layout, source = PACKET[family]
    listening = socket.socket(family, socket.SOCK_DGRAM)
    listening.setsockopt(level, wanted, 1)
    if family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listening.bind(("", port))
    while True:
        _, control, _, peer = listening.recvmsg(2048, 256)
        asked = layout.unpack(control[0][2])
        listening.sendmsg([NAME], [(level, kind, layout.pack(*source(asked)))], 0, peer)


def answer_connections(listening: socket.socket) -> None:
    """Serve each connection in a thread of its own."""
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    """Answer everything that comes until the other side closes."""
    with connection, contextlib.suppress(OSError):
        while connection.recv(2048):
            connection.sendall(NAME)


def main() -> None:
    """Serve all ports."""
    for word in sys.argv[1:]:
        protocol, _, port = word.partition(":")
        if protocol == "udp":
            for family in PACKET:
                threading.Thread(target=answer_datagrams, args=(family, int(port))).start()
        else:
            threading.Thread(target=answer_connections, args=(listen(protocol, int(port)),)).start()


main()

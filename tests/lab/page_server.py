"""Runs on real servers: answers as a web server, a name server and others would, well or in a way that is wrong.

    python3 page_server.py KIND:PORT...

KIND: http, https, dns (UDP), dns-tcp, udp, line (TCP). What is wrong with a port stands, as a word, in a file of its number
in FAULTS; without one everything is well. HTTPS has its certificate and key from CERTIFICATE. Standard library only.
"""

import contextlib
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path

FAULTS = Path("/run/lab-pages")
CERTIFICATE = Path("/root/pages.pem")
SITE = "shop.example"
ZONE = b"\3lab\7example\0"
SOA, REFUSED = 6, 5
# Python has no name for IP_PKTINFO; it tells where a datagram was sent to, which may be a VIP: the answer comes from there.
IP_PKTINFO, LAYOUT = 8, struct.Struct("=I4s4s")


def fault(port: int) -> str:
    """Tell what is wrong with a port, "": nothing."""
    try:
        return (FAULTS / str(port)).read_text().strip()
    except OSError:
        return ""


# --- answers: None is silence ------------------------------------------------------------------------------------------


def page(asked: bytes, wrong: str, site: str = "") -> bytes:
    """Answer a request of HTTP; only /health is there, and says that all is well."""
    there = asked.startswith(b"GET /health ")
    status = b"503 Service Unavailable" if wrong == "status" else b"200 OK" if there else b"404 Not Found"
    body = b"out of order" if wrong == "body" else b"all is well" + f" at {site}".encode() * bool(site)
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body)


def record(asked: bytes, wrong: str) -> bytes | None:
    """Answer a query for the SOA record of the zone; any other one is refused."""
    if wrong == "silent":
        return None
    well = wrong == "" and asked[12:].startswith(ZONE + SOA.to_bytes(2, "big"))
    head = asked[:2] + struct.pack(">HHHHH", 0x8400 | (0 if well else REFUSED), 1, int(well), 0, 0)
    question = asked[12 : asked.index(b"\0", 12) + 5]
    data = ZONE + b"\0" + struct.pack(">IIIII", 1, 3600, 600, 86400, 60)
    return head + question + (b"\xc0\x0c" + struct.pack(">HHIH", SOA, 1, 60, len(data)) + data if well else b"")


def pong(_: bytes, wrong: str) -> bytes | None:
    """Answer a datagram."""
    return {"": b"pong", "silent": None}.get(wrong, b"gnop")


# --- sockets -----------------------------------------------------------------------------------------------------------

Talk = Callable[[socket.socket, int], None]


def serve_datagrams(port: int, answer: Callable[[bytes, str], bytes | None]) -> None:
    """Answer each datagram from the address that it was sent to."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    listening.bind(("", port))
    while True:
        asked, control, _, peer = listening.recvmsg(2048, 256)
        own = LAYOUT.unpack(control[0][2])[2]
        if (said := answer(asked, fault(port))) is not None:
            source = (socket.IPPROTO_IP, IP_PKTINFO, LAYOUT.pack(0, own, own))
            listening.sendmsg([said], [source], 0, peer)


def serve_connections(port: int, talk: Talk) -> None:
    """Talk on each connection in a thread of its own."""
    listening = socket.create_server(("", port), backlog=64)
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=finish, args=(connection, talk, port), daemon=True).start()


def finish(connection: socket.socket, talk: Talk, port: int) -> None:
    """Talk until that is over, in whatever way."""
    connection.settimeout(10)
    with connection, contextlib.suppress(OSError):
        talk(connection, port)


def talk_http(connection: socket.socket, port: int) -> None:
    """One request and its answer."""
    connection.sendall(page(connection.recv(2048), fault(port)))


def talk_https(connection: socket.socket, port: int) -> None:
    """The same over TLS, for those who say in the handshake (SNI) that they want SITE."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    wrong = fault(port)

    def known(_: ssl.SSLObject, named: str | None, __: ssl.SSLContext) -> int | None:
        return None if named == SITE and wrong != "nameless" else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context.sni_callback = known
    with context.wrap_socket(connection, server_side=True) as tls:
        tls.sendall(page(tls.recv(2048), wrong, SITE))


def talk_dns(connection: socket.socket, port: int) -> None:
    """One query and its answer, with their lengths before them."""
    with connection.makefile("rb") as reading:
        asked = reading.read(int.from_bytes(reading.read(2), "big"))
        if (said := record(asked, fault(port))) is not None:
            connection.sendall(len(said).to_bytes(2, "big") + said)
        else:
            reading.read(1)


def talk_line(connection: socket.socket, port: int) -> None:
    """Say how things are, on one line."""
    connection.sendall((fault(port) or "well").encode() + b"\n")


KINDS: dict[str, tuple[Callable[..., None], Callable[..., object]]] = {
    "http": (serve_connections, talk_http),
    "https": (serve_connections, talk_https),
    "dns-tcp": (serve_connections, talk_dns),
    "line": (serve_connections, talk_line),
    "dns": (serve_datagrams, record),
    "udp": (serve_datagrams, pong),
}


def main() -> None:
    """Serve all ports."""
    for word in sys.argv[1:]:
        kind, _, port = word.partition(":")
        serve, how = KINDS[kind]
        threading.Thread(target=serve, args=(int(port), how)).start()


main()

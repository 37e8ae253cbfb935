"""One attacker's process: floods a master, and counts in a file what reached it. Ended by a signal.

Arguments: the kind of flood, the master's address, the file of the count, and for some the secret key of a minion and the
public key of the master (Z85).
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import zmq

BROADCAST, UPLINK, JOIN = 7411, 7412, 7413
AT_ONCE = 50
FRAMES = 10_000
"""So many malformed messages each second are aimed at; the other floods are as fast as one process can."""
MALFORMED = (
    b"",
    b"\xc1",
    b"\x81\xa4type\xa6sample",
    b"\xdf" + b"\xff" * 8,
    os.urandom(200),
    b"\x91" * 500,
    b'{"type": "hello"}',
)


def handshakes(master: str, server_key: str) -> Iterator[int]:
    """Connect with keys that nobody has accepted, a new pair for each."""
    context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, 4096)
    while True:
        sockets = []
        for number in range(AT_ONCE):
            knocking = context.socket(zmq.DEALER)
            knocking.setsockopt(zmq.LINGER, 0)
            knocking.setsockopt(zmq.RECONNECT_IVL, -1)
            knocking.curve_serverkey = server_key.encode()
            knocking.curve_publickey, knocking.curve_secretkey = zmq.curve_keypair()
            monitor = knocking.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED)
            knocking.connect(f"tcp://{master}:{UPLINK if number % 2 else BROADCAST}")
            sockets.append((knocking, monitor))
        refused = 0
        for knocking, monitor in sockets:
            refused += bool(monitor.poll(2000))
            knocking.disable_monitor()
            knocking.close(0)
        yield refused


def frames(master: str, secret: str, server_key: str) -> Iterator[int]:
    """Send what is no message by an accepted key."""
    context = zmq.Context()
    captured = context.socket(zmq.DEALER)
    captured.setsockopt(zmq.LINGER, 0)
    captured.curve_serverkey = server_key.encode()
    captured.curve_publickey, captured.curve_secretkey = zmq.curve_public(secret.encode()), secret.encode()
    captured.connect(f"tcp://{master}:{UPLINK}")
    while True:
        began = time.monotonic()
        for number in range(1000):
            captured.send(MALFORMED[number % len(MALFORMED)])
        yield 1000
        # What the master has to bear; not the network's limit.
        time.sleep(max(0.0, 1000 / FRAMES - (time.monotonic() - began)))


def garbage(master: str) -> Iterator[int]:
    """Connect by TCP and send bytes that are no ZeroMQ, or half of its greeting."""
    while True:
        reached = 0
        for port in (BROADCAST, UPLINK, JOIN):
            try:
                with socket.create_connection((master, port), timeout=5) as connection:
                    connection.sendall(
                        os.urandom(512) if port != JOIN else b"\xff" + b"\0" * 8 + b"\x7f\x03" + os.urandom(200)
                    )
            except OSError:
                continue
            reached += 1
        yield reached


def main() -> None:
    """Flood until killed."""
    kind, master, file, *more = sys.argv[1:]
    secret, server_key = more or ("", "")
    floods = {
        "handshakes": lambda: handshakes(master, server_key),
        "frames": lambda: frames(master, secret, server_key),
    }
    done, count, fresh = 0, Path(file), Path(f"{file}.new")
    for some in floods.get(kind, lambda: garbage(master))():
        done += some
        fresh.write_text(str(done), encoding="ascii")
        fresh.replace(count)


if __name__ == "__main__":
    main()

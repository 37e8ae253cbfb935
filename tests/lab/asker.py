"""Runs on the client: asks an address many times, or holds one connection, and prints what came of it as JSON.

    python3 asker.py ask PROTOCOL ADDRESS PORTS COUNT [SOURCE]
    python3 asker.py repeat PROTOCOL ADDRESS PORT COUNT
    python3 asker.py hold ADDRESS PORT SECONDS REPORT

`ask`: COUNT questions, each from a socket of its own, to the PORTS (separated by commas) in turn; `answered` (name ->
count), `failed` (error -> count), `slowest` in seconds. `repeat`: the same, all from one socket.
`hold`: one TCP connection, a question on it every 0.1 s; REPORT gets `answered`, the `gap` in seconds, the `error`.
SOURCE is the address to ask from.
"""

import contextlib
import itertools
import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TIMEOUT_SECONDS = 5.0
HOPELESS = 5
KINDS = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0), "sctp": (socket.SOCK_STREAM, 132)}


def connect(protocol: str, address: str, port: int, source: str = "") -> socket.socket:
    """Make a connected socket."""
    kind, number = KINDS[protocol]
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind, number)
    made.settimeout(TIMEOUT_SECONDS)
    if source:
        made.bind((source, 0))
    made.connect((address, port))
    return made


def question(connection: socket.socket) -> str:
    """Ask who is there."""
    connection.sendall(b"?\n")
    return connection.recv(2048).decode().strip() or "closed"


class Answers:
    """Who answered how often, what went wrong, and how long the slowest took."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.slowest = 0.0

    @property
    def hopeless(self) -> bool:
        """Whether so much went wrong that more questions would only take time."""
        return self.failed.total() >= HOPELESS

    @contextlib.contextmanager
    def count(self) -> Iterator[None]:
        """Time one question, and count what it raises."""
        begin = time.monotonic()
        try:
            yield
        except OSError as error:
            self.failed[f"{type(error).__name__}: {error}"] += 1
        self.slowest = max(self.slowest, time.monotonic() - begin)


def ask(protocol: str, address: str, ports: str, count: str, source: str = "") -> Answers:
    """Ask `count` times, from a socket each.

    Those of UDP stay open until the end: IPVS takes a port that is used again for the connection that it knows, and so
    would the shares not come out equal.
    """
    seen = Answers()
    kept: list[socket.socket] = []
    numbers = itertools.cycle(int(port) for port in ports.split(","))
    for _ in range(int(count)):
        if seen.hopeless:
            break
        with seen.count(), connect(protocol, address, next(numbers), source) as connection:
            seen.answered[question(connection)] += 1
            if protocol == "udp":
                kept.append(connection.dup())
    return seen


def repeat(protocol: str, address: str, port: str, count: str) -> Answers:
    """Ask `count` times on one socket."""
    seen = Answers()
    with connect(protocol, address, int(port)) as connection:
        for _ in range(int(count)):
            if seen.hopeless:
                break
            with seen.count():
                seen.answered[question(connection)] += 1
    return seen


def hold(address: str, port: str, seconds: str, report: str) -> None:
    """Keep one connection busy, and write the report in one step at the end."""
    answered: Counter[str] = Counter()
    gap, error, last = 0.0, "", time.monotonic()
    end = last + float(seconds)
    try:
        with connect("tcp", address, int(port)) as connection:
            connection.settimeout(15)
            while time.monotonic() < end:
                answered[question(connection)] += 1
                gap, last = max(gap, time.monotonic() - last), time.monotonic()
                time.sleep(0.1)
    except OSError as wrong:
        error = f"{type(wrong).__name__}: {wrong}"
    partial = Path(report + ".partial")
    partial.write_text(json.dumps({"answered": answered, "gap": gap, "error": error}))
    partial.rename(report)


if sys.argv[1] == "hold":
    hold(*sys.argv[2:])
else:
    sys.stdout.write(json.dumps(vars({"ask": ask, "repeat": repeat}[sys.argv[1]](*sys.argv[2:]))))

"""Inputs as large and as nasty as the product's limits allow, by name. Reads one, and prints what that took.

A process each, so that its memory is its own: `python -m tests.fuzz.largest NAME`.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Final

from lbminion.doctor.configuration import instances
from lbminion.health.http_answer import MOST_BODY, Answer
from lbminion.health.outcome import ProbeFailed
from lbminion.keepalived import dump
from lbstates.checks import HttpCheck
from lbstates.clusterfile import check
from lbstates.clusterfile.reader import MAX_CHARACTERS, MAX_VALUES
from lbwire import messages
from lbwire.codec import CONTAINERS, LIMIT
from lbwire.errors import Refused

from .of_wire import INBOX, MEMORY


def _list(member: bytes, count: int) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big") + member * count


def _lists_of(member: bytes, bytes_left: int = LIMIT - 5) -> bytes:
    """As many lists of as many members as there may be."""
    inner = _list(member, min(CONTAINERS, bytes_left // len(member) - 5))
    return _list(inner, max(1, bytes_left // len(inner)))


def _minion(raw: bytes) -> None:
    with contextlib.suppress(Refused):
        messages.decode(raw)


def _master(raw: bytes) -> None:
    with contextlib.suppress(Refused):
        INBOX.judge(raw, MEMORY)


def _dump(raw: bytes) -> None:
    with contextlib.suppress(ValueError):
        dump.parse(raw)


def _cluster(text: str) -> None:
    check(text)


def _conf(text: str) -> None:
    instances(text)


def _answer(raw: bytes) -> None:
    """In as many reads as there are bytes: a real server that somebody took over may send it so."""
    answer = Answer(HttpCheck(body="ready"))
    with contextlib.suppress(ProbeFailed):
        for at in range(len(raw)):
            answer.take(raw[at : at + 1])


_MOST = MAX_VALUES - 100
_OK = b"HTTP/1.1 200 OK\r\n"
_HEAD = "cluster: c\ndirectors: {d: 10.0.0.1}\nvips: {v: 10.0.0.9/24}\n"

INPUTS: Final[dict[str, Callable[[], None]]] = {
    "message-of-empty-lists": lambda: _minion(_list(b"\x90", LIMIT - 5)),
    "message-of-as-many-lists-as-possible": lambda: _minion(_lists_of(b"\x90")),
    "message-of-as-many-maps-as-possible": lambda: _minion(_lists_of(b"\x81\xa0\xc0")),
    "message-of-texts": lambda: _minion(_lists_of(b"\xa2ab")),
    "message-of-numbers": lambda: _minion(_lists_of(b"\x00")),
    "message-of-lists-that-say-more-than-they-hold": lambda: _minion(b"\xdd\x00\x03\xd0\x90" * (LIMIT // 5)),
    "envelope-of-empty-lists": lambda: _master(_list(b"\x90", LIMIT - 5)),
    "envelope-of-lists-in-lists": lambda: _master(b"\x94" * LIMIT),
    "dump-of-lists-in-lists": lambda: _dump(b'[{"x":' + b"[" * LIMIT),
    "dump-of-a-long-number": lambda: _dump(b'[{"data":{"iname":"a","state":' + b"9" * LIMIT),
    "answer-with-a-long-head": lambda: _answer(_OK + b"X: y\r\n" * (MOST_BODY // 6)),
    "answer-with-a-long-body": lambda: _answer(_OK + b"\r\n" + b"x" * MOST_BODY),
    "answer-in-small-chunks": lambda: _answer(_OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * MOST_BODY),
    "answer-of-ends-of-lines": lambda: _answer(_OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"\n" * 4 * MOST_BODY),
    "conf-of-blocks-in-blocks": lambda: _conf("a {\n" * 500_000),
    "cluster-of-aliases": lambda: _cluster("a: &a [x,x]\n" + "b: [*a,*a]\n" * 80_000),
    "cluster-of-lists-in-lists": lambda: _cluster("[" * (MAX_CHARACTERS - 1)),
    "cluster-of-blocks-in-blocks": lambda: _cluster("- " * (MAX_CHARACTERS // 2 - 1) + "1"),
    "cluster-of-the-same-key": lambda: _cluster("{" + "a: 1, " * (MAX_CHARACTERS // 6 - 10) + "}"),
    "cluster-of-tags": lambda: _cluster("- !!python/object:os.system x\n" * 30_000),
    "cluster-of-documents": lambda: _cluster("---\n" * (MAX_CHARACTERS // 4 - 1)),
    "cluster-of-too-many-values": lambda: _cluster("services: [" + "1," * (MAX_CHARACTERS // 2 - 10) + "]"),
    "cluster-of-wrong-services": lambda: _cluster("services: [" + "1," * _MOST + "]"),
    "cluster-of-empty-services": lambda: _cluster("services: [" + "{}," * _MOST + "]"),
    "cluster-of-ports": lambda: _cluster(_HEAD + "services: [{vip: v, ports: [" + "80," * _MOST + "]}]"),
    "cluster-of-one-long-text": lambda: _cluster("cluster: " + "x" * (MAX_CHARACTERS - 20)),
    "cluster-of-more-characters": lambda: _cluster("#" * (MAX_CHARACTERS + 1)),
}


def main() -> None:
    """Read one input; print seconds of the processor, and megabytes at the most."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    INPUTS[sys.argv[1]]()
    seconds = time.process_time() - begun
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"seconds": round(seconds, 2), "megabytes": round(memory)}))  # noqa: T201


if __name__ == "__main__":
    main()

"""A kernel's IPVS table on a machine without one: its recorded bytes, played back to the product's own reader.

Recorded in the guest, played back on the host, where a system call costs what it costs users. Another process plays
the kernel, so that the CPU that is measured is the minion's alone: its system calls, its decoding, its comparing.
What the real kernel would spend to write the answers down is not in it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from struct import Struct
from unittest import mock

import msgspec

from lbminion.netlink import ipvs, message
from lbminion.netlink.ipvs import Ipvs
from lbminion.netlink.message import spans
from lbminion.netlink.transport import Question, Transport, piece_of

_U64 = Struct("=Q")
_SEQUENCE = Struct("=I")
_HEADER, _SEQUENCE_AT = 16, 8
_FAMILY = 28


class Recording(msgspec.Struct):
    """Question (without its netlink header) -> the datagrams of the answer."""

    answers: dict[bytes, list[bytes]]


def record() -> bytes:
    """Read the kernel's table, and write down all questions and what was answered to them."""
    asked: list[Question] = []

    class Recorder(Transport):
        def ask(self, question: Question) -> bool:
            asked.append(question)
            return super().ask(question)

    with mock.patch.object(ipvs, "Transport", Recorder), Ipvs() as table:
        table.snapshot()
    answers = {question.request[_HEADER:]: [piece.datagram for piece in question.pieces] for question in asked}
    return msgspec.msgpack.encode(Recording(answers))


class _Datagram:
    """One datagram, and the places in it that change: sequence numbers, and the connections that were counted."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self._sequences = []
        self.counters = []
        for kind, _, _, start, end in message.places(data):
            self._sequences.append(start - _HEADER + _SEQUENCE_AT)
            if kind > message.DONE:
                self.counters.append(_connections(data, start, end))

    def number(self, sequence: int) -> None:
        for place in self._sequences:
            _SEQUENCE.pack_into(self.data, place, sequence)


def _connections(data: bytes, start: int, end: int) -> int:
    """Find the first of the 64-bit statistics of an entry."""
    for kind, begin, until in spans(data, start + 4, end):
        wide = {1: 12, 2: 12}[kind]
        for inner, low, high in spans(data, begin, until):
            if inner == wide:
                return next(at for number, at, _ in spans(data, low, high) if number == 1)
    raise ValueError("no 64-bit statistics in what was recorded")


class Moving(Transport):
    """The real kernel, whose every counter moves between one reading and the next: as on a director with traffic.

    There is no traffic for 11,000 entries in the guest, so its answers are received, compared, and then replaced.
    """

    def __init__(self, protocol: int) -> None:
        super().__init__(protocol)
        self._real: dict[int, Question] = {}
        self._moved: dict[int, tuple[list[bytes], list[bytes]]] = {}
        self._turns: dict[int, int] = {}

    def ask(self, question: Question) -> bool:
        number = question.sequence
        if number not in self._real:
            self._real[number] = Question(0, b"", number)
            self._real[number].request = question.request
        real = self._real[number]
        if super().ask(real) or number not in self._moved:
            self._moved[number] = _counting(real, 1), _counting(real, 2)
        turn = self._turns[number] = 1 - self._turns.get(number, 0)
        answer = self._moved[number][turn]
        question.pieces = tuple(piece_of(bytes(memoryview(one)), number) for one in answer)
        return True


def _counting(question: Question, connections: int) -> list[bytes]:
    """Write other counters into an answer."""
    found = []
    for piece in question.pieces:
        datagram = _Datagram(piece.datagram)
        for place in datagram.counters:
            _U64.pack_into(datagram.data, place, connections)
        found.append(bytes(datagram.data))
    return found


@contextmanager
def moving() -> Iterator[Ipvs]:
    """Open the kernel's table, with counters that move."""
    with mock.patch.object(ipvs, "Transport", Moving), Ipvs() as table:
        yield table


class _Kernel:
    """Answers requests; with each one for all services, the share of all counters that shall change does."""

    def __init__(self, recording: Recording, change_every: int) -> None:
        self._answers = {request: [_Datagram(one) for one in answer] for request, answer in recording.answers.items()}
        self._change_every = change_every
        self._round = 0
        self._numbered: set[bytes] = set()

    def serve(self, end: socket.socket) -> None:
        while request := end.recv(65536):
            body = request[_HEADER:]
            (sequence,) = _SEQUENCE.unpack_from(request, _SEQUENCE_AT)
            if body not in self._answers:  # opening: the family's number, and the question for the version
                self._greet(end, sequence)
                continue
            if body == next(iter(self._answers)):
                self._next_round()
            for datagram in self._answers[body]:
                if body not in self._numbered:
                    datagram.number(sequence)
                end.send(datagram.data)
            self._numbered.add(body)

    def _greet(self, end: socket.socket, sequence: int) -> None:
        family = message.attribute(1, Struct("=H").pack(_FAMILY))
        answer = message.frame(16, 0, sequence, bytes(4) + family)
        end.send(answer + message.frame(message.ERROR, 0, sequence, bytes(20)))

    def _next_round(self) -> None:
        self._round += 1
        if not self._change_every:
            return
        count = 0
        for answer in self._answers.values():
            for datagram in answer:
                for place in datagram.counters:
                    count += 1
                    if count % self._change_every == 0:
                        _U64.pack_into(datagram.data, place, self._round)


@contextmanager
def replayed(recorded: bytes, *, change_every: int) -> Iterator[Ipvs]:
    """Open the recorded table. In each reading every `change_every`-th entry has another counter (0: none has)."""
    recording = msgspec.msgpack.decode(recorded, type=Recording)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        ours.close()
        with suppress(KeyboardInterrupt, OSError):
            _Kernel(recording, change_every).serve(theirs)
        os._exit(0)
    theirs.close()

    class Played(Transport):
        def _open(self) -> socket.socket:
            return ours

    try:
        with mock.patch.object(ipvs, "Transport", Played), Ipvs() as table:
            yield table
    finally:
        ours.close()
        os.waitpid(child, 0)

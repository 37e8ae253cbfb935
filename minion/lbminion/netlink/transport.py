"""One netlink socket: sends requests, waits for the answers, matches them by sequence number. Knows no family.

Synchronous on purpose: the kernel answers within the system call that asks (microseconds each, milliseconds for a large
table), so there is nothing to wait for. The timeout only keeps a lost answer from hanging the minion; the kernel keeps
it (SO_RCVTIMEO), because Python's own costs a second system call for each of ours.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import socket
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from struct import Struct
from typing import Final, NamedTuple, Self, TypeAlias

from lbminion.errors import NoAnswer

from . import message
from .message import Message, Refusal

WINDOW: Final = 256
"""Requests in one send. Larger ones gain nothing; if all of them are refused, the answers still fit into the buffer."""

_RECEIVE_BUFFER: Final = 4 * 1024 * 1024
_DATAGRAM: Final = 64 * 1024  # the kernel builds dumps in pieces of at most 32 KiB
_READ_AGAIN: Final = 5
_SOL_NETLINK: Final = 270
_CAP_ACK: Final = 10
_EXT_ACK: Final = 11
_SO_RCVBUFFORCE: Final = 33
_CONTROL: Final = (message.ERROR, message.DONE)
_TIMEVAL: Final = Struct("@ll")
_TRY_LATER: Final = (errno.EAGAIN, errno.EWOULDBLOCK)


class Refused(OSError):
    """The kernel answered with an error: `errno`, and in `strerror` its own words if it sent any."""


Span: TypeAlias = tuple[bytes, int, int]
"""Where the content of a message lies: the datagram, where it begins, and where it ends."""


class Question:
    """A dump that is asked for again and again, with its last answer: `pieces`, as the kernel sent them.

    It has one sequence number for all times, so that the same table gives the same bytes: what has not changed can be
    told by comparing, without reading it.
    """

    __slots__ = ("pieces", "request", "sequence")

    def __init__(self, kind: int, payload: bytes, sequence: int) -> None:
        self.request = message.frame(kind, message.REQUEST | message.DUMP, sequence, payload)
        self.sequence = sequence
        self.pieces: tuple[Piece, ...] = ()

    def entries(self) -> Iterator[Span]:
        """Find the entries of the last answer, in their order."""
        return spans(self.pieces)


class Piece(NamedTuple):
    """One datagram of an answer: where each entry begins and ends, whether it is the last.

    `whole`: the table stood still meanwhile. No objects per entry: there are 11,000 of them.
    """

    datagram: bytes
    places: array[int]
    last: bool
    whole: bool


def spans(pieces: Iterable[Piece]) -> Iterator[Span]:
    """Find the entries in pieces."""
    for datagram, places, _, _ in pieces:
        ends = iter(places)
        for start, end in zip(ends, ends, strict=True):
            yield datagram, start, end


def piece_of(datagram: bytes, wanted: int) -> Piece:
    """Look at what there is in a datagram of the answer to the request `wanted`. Raises `Refused`."""
    places = array("I")
    last, whole = False, True
    for kind, flags, sequence, start, end in message.places(datagram):
        if sequence != wanted:
            continue
        whole = whole and not flags & message.DUMP_INTERRUPTED
        if kind not in _CONTROL:
            places.append(start)
            places.append(end)
            continue
        refusal = message.refusal(Message(kind, flags, sequence, datagram[start:end]))
        if refusal.errno:
            raise Refused(refusal.errno, refusal.text)
        last = True
    return Piece(datagram, places, last, whole)


class Transport:
    """A socket of one netlink protocol; `timeout` in seconds bounds the wait for each answer."""

    def __init__(self, protocol: int, timeout: float = 5.0) -> None:
        self._protocol = protocol
        self._timeout = timeout
        self._sequence = itertools.count(1)
        self._socket = self._open()
        self._buffer = bytearray(_DATAGRAM)
        self._view = memoryview(self._buffer)

    def _open(self) -> socket.socket:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, self._protocol)
        # Without CAP_NET_ADMIN the buffer stays as it is; who needs the capability says so itself.
        with contextlib.suppress(PermissionError):
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        opened.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        opened.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        wait_at_most(opened, self._timeout)
        opened.connect((0, 0))  # the kernel
        return opened

    def close(self) -> None:
        """Close the socket; doing so twice is fine."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, kind: int, payload: bytes) -> list[bytes]:
        """Ask one question and return the content of the answers.

        Raises `Refused` and `NoAnswer`.
        """
        sequence = next(self._sequence)
        self._send(message.frame(kind, message.REQUEST | message.ACK, sequence, payload))
        return [answer.payload for answer in self._answers(sequence)]

    def dump(self, kind: int, payload: bytes) -> list[bytes]:
        """Read a whole table once: the content of each entry. Raises as `ask`."""
        question = self.question(kind, payload)
        self.ask(question)
        return [datagram[start:end] for datagram, start, end in question.entries()]

    def question(self, kind: int, payload: bytes) -> Question:
        """Make a dump that can be asked for with `ask`."""
        return Question(kind, payload, next(self._sequence))

    def ask(self, question: Question) -> bool:
        """Read a whole table, again if it changed meanwhile; tell whether the answer is another than the last one.

        Raises `Refused`, and `NoAnswer` also when the table changed during each of the attempts.
        """
        for _ in range(_READ_AGAIN):
            try:
                pieces = self._dump(question)
            except Refused:
                raise
            except BaseException:
                self._renew()  # what is left of this answer would be taken for the next one
                raise
            if pieces is not None:
                changed = pieces != question.pieces
                question.pieces = pieces
                return changed
        raise NoAnswer(f"a kernel table changed during each of {_READ_AGAIN} attempts to read it")

    def _dump(self, question: Question) -> tuple[Piece, ...] | None:
        """Return the pieces of the answer, the very objects of the last one where they are the same.

        None when the table changed while the kernel wrote it down.
        """
        self._send(question.request)
        known = question.pieces
        found: list[Piece] = []
        whole, last = True, False
        while not last:
            size = self._receive()
            place = len(found)
            if (
                place < len(known)
                and size == len(known[place].datagram)
                and self._buffer.startswith(known[place].datagram)
            ):
                piece = known[place]
            else:
                piece = piece_of(bytes(self._view[:size]), question.sequence)
            last = piece.last
            whole = whole and piece.whole
            if piece.places or last:
                found.append(piece)
        return tuple(found) if whole else None

    def change(self, requests: Iterable[tuple[int, int, bytes]]) -> dict[int, Refusal]:
        """Send changes (type, flags beside REQUEST, payload); return index -> refusal of those that were refused.

        One send per window, and only its last message asks for an acknowledgement: refusals come back without asking.
        Raises `NoAnswer`: then it is not known which of the changes were made.
        """
        refused: dict[int, Refusal] = {}
        waiting = iter(requests)
        done = 0
        while window := list(islice(waiting, WINDOW)):
            first = next(self._sequence)
            last = first + len(window) - 1
            self._sequence = itertools.count(last + 1)
            self._send(b"".join(_frames(window, first, last)))
            for sequence, refusal in self._acknowledgements(last):
                if refusal.errno and first <= sequence <= last:
                    refused[done + sequence - first] = refusal
            done += len(window)
        return refused

    def _acknowledgements(self, last: int) -> Iterator[tuple[int, Refusal]]:
        """Yield what the kernel says about requests, up to and with the one that is numbered `last`."""
        while True:
            for answer in message.split(self._datagram()):
                if answer.type == message.ERROR:
                    yield answer.sequence, message.refusal(answer)
                    if answer.sequence == last:
                        return

    def _answers(self, sequence: int) -> Iterator[Message]:
        """Yield the answers to one request; raises `Refused`. Late answers to an earlier one are passed over."""
        while True:
            for answer in message.split(self._datagram()):
                if answer.sequence != sequence:
                    continue
                if answer.type not in _CONTROL:
                    yield answer
                    continue
                refusal = message.refusal(answer)
                if refusal.errno:
                    raise Refused(refusal.errno, refusal.text)
                return

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except BlockingIOError:
            self._renew()
            raise NoAnswer("the kernel took no netlink request") from None

    def _datagram(self) -> bytes:
        return bytes(self._view[: self._receive()])

    def _receive(self) -> int:
        """Receive one datagram into the buffer and return its size."""
        try:
            return self._socket.recv_into(self._buffer)
        except OSError as error:
            if error.errno in _TRY_LATER:
                why = f"the kernel did not answer a netlink request within {self._timeout:g} s"
            elif error.errno == errno.ENOBUFS:
                why = "the kernel's netlink answers overran the receive buffer and were lost"
            else:
                raise
            self._renew()
            raise NoAnswer(why) from None

    def _renew(self) -> None:
        # A socket with a half-read dump refuses the next one (EBUSY), so it is of no more use.
        self._socket.close()
        self._socket = self._open()


def _frames(window: Iterable[tuple[int, int, bytes]], first: int, last: int) -> Iterator[bytes]:
    for sequence, (kind, flags, body) in enumerate(window, first):
        more = message.REQUEST | message.ACK if sequence == last else message.REQUEST
        yield message.frame(kind, flags | more, sequence, body)


def wait_at_most(opened: socket.socket, seconds: float) -> None:
    """Bound each blocking call of a socket; what takes longer raises `BlockingIOError`."""
    whole = int(seconds)
    bound = _TIMEVAL.pack(whole, round((seconds - whole) * 1_000_000))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bound)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)

"""One netlink socket: sends requests, waits for the answers, matches them by sequence number. Knows no family.

Synchronous on purpose: the kernel answers within the system call that asks (microseconds each, milliseconds for a large
table), so there is nothing to wait for. The timeout only keeps a lost answer from hanging the minion.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import socket
from collections.abc import Iterator, Sequence
from typing import Final, Self

from lbminion.errors import NoAnswer

from . import message
from .message import Message, Refusal

WINDOW: Final = 128
"""Requests in one send: more acknowledgements than this can overrun a default receive buffer."""

_RECEIVE_BUFFER: Final = 4 * 1024 * 1024
_DATAGRAM: Final = 64 * 1024  # the kernel builds dumps in pieces of at most 32 KiB
_READ_AGAIN: Final = 5
_SOL_NETLINK: Final = 270
_CAP_ACK: Final = 10
_EXT_ACK: Final = 11
_SO_RCVBUFFORCE: Final = 33


class Refused(OSError):
    """The kernel answered with an error: `errno`, and in `strerror` its own words if it sent any."""


class Transport:
    """A socket of one netlink protocol; `timeout` in seconds bounds the wait for each answer."""

    def __init__(self, protocol: int, timeout: float = 5.0) -> None:
        self._protocol = protocol
        self._timeout = timeout
        self._sequence = itertools.count(1)
        self._socket = self._open()

    def _open(self) -> socket.socket:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, self._protocol)
        # Without CAP_NET_ADMIN the buffer stays as it is; who needs the capability says so itself.
        with contextlib.suppress(PermissionError):
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        opened.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        opened.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        opened.settimeout(self._timeout)
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
        self._send(message.pack(Message(kind, message.REQUEST | message.ACK, sequence, payload)))
        return [answer.payload for answer in self._answers(sequence)]

    def dump(self, kind: int, payload: bytes) -> list[bytes]:
        """Read a whole table, again if it changed meanwhile.

        Raises `Refused`, and `NoAnswer` also when the table changed during each of the attempts.
        """
        for _ in range(_READ_AGAIN):
            sequence = next(self._sequence)
            self._send(message.pack(Message(kind, message.REQUEST | message.DUMP, sequence, payload)))
            interrupted = False
            entries = []
            for answer in self._answers(sequence):
                interrupted = interrupted or bool(answer.flags & message.DUMP_INTERRUPTED)
                entries.append(answer.payload)
            if not interrupted:
                return entries
        raise NoAnswer(f"a kernel table changed during each of {_READ_AGAIN} attempts to read it")

    def change(self, requests: Sequence[tuple[int, int, bytes]]) -> dict[int, Refusal]:
        """Send changes (type, flags beside REQUEST, payload); return index -> refusal of those that were refused.

        One send per window, and only its last message asks for an acknowledgement: refusals come back without asking.
        Raises `NoAnswer`: then it is not known which of the changes were made.
        """
        refused: dict[int, Refusal] = {}
        for start in range(0, len(requests), WINDOW):
            window = requests[start : start + WINDOW]
            index_of = {next(self._sequence): start + position for position in range(len(window))}
            last = max(index_of)
            self._send(
                b"".join(
                    message.pack(
                        Message(kind, flags | message.REQUEST | (message.ACK if seq == last else 0), seq, body)
                    )
                    for seq, (kind, flags, body) in zip(index_of, window, strict=True)
                )
            )
            for seq, refusal in self._acknowledgements(last):
                if refusal.errno and seq in index_of:
                    refused[index_of[seq]] = refusal
        return refused

    def _acknowledgements(self, last: int) -> Iterator[tuple[int, Refusal]]:
        """Yield what the kernel says about requests, up to and with the one that is numbered `last`."""
        while True:
            for answer in message.split(self._receive()):
                if answer.type == message.ERROR:
                    yield answer.sequence, message.refusal(answer)
                    if answer.sequence == last:
                        return

    def _answers(self, sequence: int) -> Iterator[Message]:
        """Yield the answers to one request; raises `Refused`. Late answers to an earlier one are passed over."""
        while True:
            for answer in message.split(self._receive()):
                if answer.sequence != sequence:
                    continue
                if answer.type not in {message.ERROR, message.DONE}:
                    yield answer
                    continue
                refusal = message.refusal(answer)
                if refusal.errno:
                    raise Refused(refusal.errno, refusal.text)
                return

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except TimeoutError:
            self._renew()
            raise NoAnswer("the kernel took no netlink request") from None

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_DATAGRAM)
        except TimeoutError:
            self._renew()
            raise NoAnswer(f"the kernel did not answer a netlink request within {self._timeout:g} s") from None
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._renew()
            raise NoAnswer("the kernel's netlink answers overran the receive buffer and were lost") from None

    def _renew(self) -> None:
        # A socket with a half-read dump refuses the next one (EBUSY), so it is of no more use.
        self._socket.close()
        self._socket = self._open()

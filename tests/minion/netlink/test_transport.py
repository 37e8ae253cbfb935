"""What the kernel seldom does: answers that are lost, late, interrupted. The other end of a socket pair plays it."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable

import pytest

from lbminion.errors import BadKernelMessage, NoAnswer
from lbminion.netlink import message
from lbminion.netlink.message import Message, Refusal, frame, split
from lbminion.netlink.transport import WINDOW, Question, Refused, Transport, wait_at_most

Reply = Callable[[list[Message]], bytes | OSError]


class Scripted(Transport):
    """A transport whose kernel answers each send with the next reply of a script (b"": not at all)."""

    kernel: socket.socket

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.sent: list[list[Message]] = []
        self.opened = 0
        super().__init__(socket.NETLINK_ROUTE, timeout=0.05)

    def _open(self) -> socket.socket:
        if self.opened:
            self.kernel.close()
        self.opened += 1
        ours, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        wait_at_most(ours, self._timeout)
        return ours

    def _send(self, data: bytes) -> None:
        super()._send(data)
        requests = list(split(self.kernel.recv(65536)))
        self.sent.append(requests)
        reply = self.replies.pop(0)(requests)
        assert isinstance(reply, bytes)
        if reply:
            self.kernel.send(reply)

    def close(self) -> None:
        super().close()
        self.kernel.close()


def answer(request: Message, *payloads: bytes, flags: int = 0) -> bytes:
    """A dump's entries and its end."""
    entries = [Message(20, flags, request.sequence, payload) for payload in payloads]
    return b"".join(frame(*one) for one in [*entries, Message(message.DONE, flags, request.sequence, bytes(4))])


def error(request: Message, number: int) -> bytes:
    """An error message; number 0 acknowledges."""
    return frame(*Message(message.ERROR, 0, request.sequence, struct.pack("=i", -number) + bytes(16)))


def contents(question: Question) -> list[bytes]:
    """The entries of the last answer."""
    return [datagram[start:end] for datagram, start, end in question.entries()]


def silence(_: list[Message]) -> bytes:
    """Answer nothing."""
    return b""


def test_a_lost_acknowledgement_is_an_error_and_the_next_request_works() -> None:
    with Scripted(silence, lambda sent: error(sent[-1], 0)) as transport:
        with pytest.raises(NoAnswer, match=r"did not answer a netlink request within 0\.05 s"):
            transport.change([(20, 0, b"")])
        assert transport.opened == 2
        assert transport.change([(20, 0, b"")]) == {}


def test_a_late_answer_to_an_earlier_request_is_passed_over() -> None:
    def late(sent: list[Message]) -> bytes:
        earlier = sent[0]._replace(sequence=sent[0].sequence - 1)
        return answer(earlier, b"old!") + answer(sent[0], b"new!")

    with Scripted(lambda sent: answer(sent[0]), late) as transport:
        assert transport.dump(22, b"") == []
        assert transport.dump(22, b"") == [b"new!"]


def test_a_dump_that_was_interrupted_is_read_again() -> None:
    with Scripted(
        lambda sent: answer(sent[0], b"torn", flags=message.DUMP_INTERRUPTED),
        lambda sent: answer(sent[0], b"good"),
    ) as transport:
        assert transport.dump(22, b"") == [b"good"]


def test_a_table_that_never_stands_still_is_given_up() -> None:
    with (
        Scripted(*[lambda sent: answer(sent[0], b"torn", flags=message.DUMP_INTERRUPTED)] * 9) as transport,
        pytest.raises(NoAnswer, match="changed during each of 5 attempts"),
    ):
        transport.dump(22, b"")


def test_a_dump_that_the_kernel_refuses_or_breaks_off_has_its_errno() -> None:
    def broken_off(sent: list[Message]) -> bytes:
        return frame(*Message(message.DONE, 0, sent[0].sequence, struct.pack("=i", -errno.ENOMEM)))

    with Scripted(lambda sent: error(sent[0], errno.EPERM), broken_off) as transport:
        for number in (errno.EPERM, errno.ENOMEM):
            with pytest.raises(Refused) as caught:
                transport.dump(22, b"")
            assert caught.value.errno == number


def test_the_same_answer_is_the_same_object_and_no_change() -> None:
    entries = (b"one!", b"two!")
    with Scripted(*[lambda sent: answer(sent[0], *entries)] * 3, lambda sent: answer(sent[0], b"one!")) as transport:
        question = transport.question(22, b"")
        assert transport.ask(question)
        (first,) = question.pieces
        assert not transport.ask(question)
        assert question.pieces[0] is first
        assert contents(question) == list(entries)
        assert not transport.ask(question)
        assert transport.ask(question)
        assert contents(question) == [b"one!"]


def test_an_answer_in_pieces_is_put_together_and_compared_piece_by_piece() -> None:
    def in_pieces(*payloads: bytes) -> Reply:
        def reply(sent: list[Message]) -> bytes:
            for payload in payloads:
                transport.kernel.send(frame(20, 0, sent[0].sequence, payload))
            return answer(sent[0])

        return reply

    scripts = [
        in_pieces(b"one!", b"two!"),
        in_pieces(b"one!", b"new!"),
        in_pieces(b"one!"),
        in_pieces(b"one!", b"two!"),
    ]
    with Scripted(*scripts) as transport:
        question = transport.question(22, b"")
        found = []
        for _ in scripts:
            assert transport.ask(question)
            found.append(contents(question))
    assert found == [[b"one!", b"two!"], [b"one!", b"new!"], [b"one!"], [b"one!", b"two!"]]


def test_an_answer_to_something_else_is_no_part_of_a_dump() -> None:
    def late(sent: list[Message]) -> bytes:
        transport.kernel.send(answer(sent[0]._replace(sequence=999), b"old!"))
        return answer(sent[0], b"new!")

    with Scripted(late) as transport:
        assert transport.dump(22, b"") == [b"new!"]


def test_after_rubbish_in_a_dump_the_rest_of_it_is_not_taken_for_the_next_answer() -> None:
    def rubbish(sent: list[Message]) -> bytes:
        transport.kernel.send(b"rubbish")
        return answer(sent[0], b"rest")

    with Scripted(rubbish, lambda sent: answer(sent[0], b"good")) as transport:
        question = transport.question(22, b"")
        with pytest.raises(BadKernelMessage):
            transport.ask(question)
        assert transport.opened == 2
        assert transport.ask(question)
        assert contents(question) == [b"good"]


def test_changes_go_in_windows_and_only_the_last_of_each_asks_for_an_acknowledgement() -> None:
    with Scripted(*[lambda sent: error(sent[-1], 0)] * 3) as transport:
        assert transport.change([(20, 0, bytes([number % 256])) for number in range(2 * WINDOW + 1)]) == {}
        assert [len(window) for window in transport.sent] == [WINDOW, WINDOW, 1]
        for window in transport.sent:
            assert [bool(one.flags & message.ACK) for one in window] == [False] * (len(window) - 1) + [True]


def test_refusals_are_matched_to_what_was_refused() -> None:
    def refuse(sent: list[Message]) -> bytes:
        return error(sent[1], errno.EEXIST) + error(sent[3], errno.EINVAL)

    with Scripted(refuse) as transport:
        refused = transport.change([(20, 0, b"")] * 4)
    assert refused == {1: Refusal(errno.EEXIST, ""), 3: Refusal(errno.EINVAL, "")}


def test_nothing_to_change_sends_nothing() -> None:
    with Scripted() as transport:
        assert transport.change([]) == {}
        assert transport.sent == []


def test_the_real_kernel_refuses_with_its_errno() -> None:
    with Transport(socket.NETLINK_ROUTE) as transport, pytest.raises(Refused) as caught:
        transport.request(20, b"\x02\x20\x00\x00" + struct.pack("=I", 2**31 - 1))
    assert caught.value.errno in {errno.EINVAL, errno.EPERM, errno.ENODEV}

"""What keepalived writes to its FIFO, read back; and what it never writes, named as such."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbminion.keepalived.fifo import MAX_LINE, BadLine, FifoLine, LineSplitter, parse_line


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b'INSTANCE "VI_1" BACKUP 200', FifoLine("INSTANCE", "VI_1", "BACKUP", 200)),
        (b'INSTANCE "web on v4" MASTER 1', FifoLine("INSTANCE", "web on v4", "MASTER", 1)),
        (b'INSTANCE "VI_1" FAULT 200', FifoLine("INSTANCE", "VI_1", "FAULT", 200)),
        (b'INSTANCE "VI_1" STOP 200', FifoLine("INSTANCE", "VI_1", "STOP", 200)),
        (b'INSTANCE "VI_1" MASTER_PRIORITY 180', FifoLine("INSTANCE", "VI_1", "MASTER_PRIORITY", 180)),
        (b'GROUP "SG1" MASTER 0', FifoLine("GROUP", "SG1", "MASTER", 0)),
    ],
)
def test_every_line_that_keepalived_was_seen_to_write_is_understood(raw: bytes, line: FifoLine) -> None:
    """Instances and groups, states and notices."""
    assert parse_line(raw) == line


@pytest.mark.parametrize(
    "raw",
    [b"VS [172.28.128.200]:tcp:80 UP", b"RS [172.28.128.10]:tcp:80 [172.28.128.200]:tcp:80 DOWN"],
)
def test_the_health_checkers_lines_are_skipped(raw: bytes) -> None:
    """A FIFO for everything (notify_fifo) carries them too; they are neither ours nor wrong."""
    assert parse_line(raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage",
        b"\xff\xfe\x00",
        b'INSTANCE "VI_1" MASTER',
        b'INSTANCE "VI_1" MASTER 200 ',
        b'INSTANCE "VI_1" MASTER 2000',
        b"INSTANCE VI_1 MASTER 200",
        b'INSTANCE "" MASTER 200',
        b'INSTANCE "a"b" MASTER 200',
        b'INSTANCE "VI_1" master 200',
        b'instance "VI_1" MASTER 200',
        b'INSTANCE "VI_1" MASTER 200\x00',
        b"x" * (MAX_LINE + 1),
    ],
)
def test_what_keepalived_does_not_write_is_a_bad_line(raw: bytes) -> None:
    """It is named with its printable beginning, and is no transition."""
    bad = parse_line(raw)
    assert isinstance(bad, BadLine)
    assert bad.text.isprintable()


@given(st.binary(max_size=3000))
def test_no_bytes_whatever_raise(raw: bytes) -> None:
    """Whoever could write to the FIFO cannot stop the minion with it."""
    parse_line(raw)


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line)), st.data())
def test_lines_come_whole_however_the_reads_fall(lines: list[bytes], data: st.DataObject) -> None:
    """A read may end anywhere; joined again, the lines are the same and in order."""
    stream = b"".join(line + b"\n" for line in lines)
    splitter, got = LineSplitter(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += splitter.feed(stream[:size])
        stream = stream[size:]
    assert got == lines


def test_an_endless_line_takes_no_memory_and_the_next_line_is_read() -> None:
    """A megabyte without a newline is one bad line."""
    splitter = LineSplitter()
    for _ in range(1000):
        assert splitter.feed(b"x" * 1000) == []
        assert len(splitter._rest) <= MAX_LINE + 1
    long, good = splitter.feed(b'\nINSTANCE "a" STOP 1\n')
    assert isinstance(parse_line(long), BadLine)
    assert parse_line(good) == FifoLine("INSTANCE", "a", "STOP", 1)

"""The load of the connection table, and who else writes."""

from __future__ import annotations

import pytest

from lbminion.doctor import table
from lbminion.doctor.table import Load

IP_VS = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  AC1C80C8:0050 rr
  -> AC1C800A:0050      Route   1      3000       2000
  -> AC1C8014:0050      Route   1      10         20
FWM  00000007 wlc
  -> AC1C800A:0000      Masq    1      0          70
"""


def test_size_and_connections_are_read() -> None:
    """Active and inactive ones of all destinations."""
    assert table.load(IP_VS) == Load(4096, 5100)


@pytest.mark.parametrize("text", ["", "IP Virtual Server\n", "  -> a b c d 1 2\n"])
def test_what_is_no_table_is_none(text: str) -> None:
    """An unknown format says nothing rather than something wrong."""
    assert table.load(text) is None


@pytest.mark.pitfall("I9")
@pytest.mark.parametrize(("connections", "bits"), [(4096, 0), (5100, 14), (100_000, 18), (10_000_000, 20)])
def test_long_chains_are_found_with_the_size_that_would_do(connections: int, bits: int) -> None:
    """Twice to four times the connections, within what the module takes."""
    found = list(table.judge_load(Load(4096, connections)))
    assert [it.id for it in found] == (["I9"] if bits else [])
    assert not bits or f"conn_tab_bits={bits}" in found[0].repair


@pytest.mark.pitfall("I2")
def test_other_writers_are_found() -> None:
    """Known programs, and keepalived's own checkers."""
    found = list(table.judge_writers({1: "systemd", 7: "ldirectord"}, checkers=12))
    assert [it.id for it in found] == ["I2", "I2"]
    assert "ldirectord (pid 7)" in found[0].seen
    assert "pid 12" in found[1].seen
    assert not list(table.judge_writers({1: "systemd"}, checkers=None))


@pytest.mark.pitfall("I2")
def test_foreign_entries_are_told() -> None:
    """As information: they are left alone."""
    (found,) = table.judge_foreign(["tcp 10.0.0.9:25", "fwmark 3"])
    assert (found.id, found.severity) == ("I2", "info")
    assert "fwmark 3" in found.seen
    assert not list(table.judge_foreign([]))

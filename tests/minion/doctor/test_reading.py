"""Small readings of a host: what is not there, or not readable, is said as such and ends nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lbminion.doctor import arp_probe, reading, sniff
from lbminion.doctor.examine import _once
from lbminion.doctor.symptom import error, info, warning
from lbminion.keepalived.paths import KeepalivedPaths


@pytest.fixture
def paths(tmp_path: Path) -> KeepalivedPaths:
    return KeepalivedPaths.under(tmp_path, tmp_path / "keepalived.conf")


def test_a_file_that_is_not_there_reads_as_nothing(tmp_path: Path) -> None:
    """Nor does a directory, or bytes that are no text, end anything."""
    assert reading.text(str(tmp_path / "missing")) == reading.text(str(tmp_path)) == ""
    (tmp_path / "odd").write_bytes(b"a\xffb")
    assert reading.text(str(tmp_path / "odd")) == "a\N{REPLACEMENT CHARACTER}b"


def test_settings_that_are_not_there_are_left_out() -> None:
    """And so are paths that leave /proc/sys."""
    found = reading.settings(["net/ipv4/ip_forward", "net/ipv4/no_such_setting", "../version"])
    assert list(found) == ["net/ipv4/ip_forward"]


def test_an_interface_that_is_not_there_has_neither_mac_nor_mtu() -> None:
    """The loopback has an MTU, and is none of those that are looked at."""
    assert (reading.mac("nothing0"), reading.mtu("nothing0")) == ("", 0)
    assert reading.mtu("lo") > 0
    assert "lo" not in reading.interfaces()


@pytest.mark.parametrize(
    "probe", [lambda: arp_probe.ask("nothing0", ["10.0.0.1"]), lambda: sniff.listen("nothing0", 1)]
)
def test_a_probe_on_an_interface_that_is_not_there_says_so(probe: object) -> None:
    """At once, whatever time it was given."""
    with pytest.raises(OSError):
        probe()  # type: ignore[operator]


def test_this_process_is_among_those_of_its_network_namespace() -> None:
    """By the name that the kernel gives it."""
    assert reading.processes()[os.getpid()] == Path("/proc/self/comm").read_text().strip()


@pytest.mark.parametrize("text", ["", "rubbish", "0", str(os.getpid()), "99999999"])
def test_a_pid_file_that_names_no_keepalived_names_nobody(paths: KeepalivedPaths, text: str) -> None:
    """It is empty, broken, or left behind: the number is another process now, or none."""
    paths.children[1].write_text(text)
    assert reading.checkers(paths) is None


def test_only_the_end_of_a_long_log_is_read(paths: KeepalivedPaths) -> None:
    """The newest lines count."""
    paths.log.write_text("".join(f"line {number}\n" for number in range(20_000)))
    lines = reading.keepalived_log(paths)
    assert lines[-1] == "line 19999"
    assert len(lines) < 10_000


def test_each_thing_is_said_once_and_the_worst_first() -> None:
    """What was found first stands; another pitfall of the same thing is another symptom."""
    first = error("R2", "eth0", "a difference", "means", "repair")
    again = error("R2", "eth0", "its effect", "means", "repair")
    other = warning("V12", "eth0", "seen", "means", "repair")
    known = info("I12", "eth0", "seen", "means", "repair")
    assert _once([known, other, first, again]) == (first, other, known)

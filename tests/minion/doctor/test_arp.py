"""Who answers for a VIP, and what this host still believes."""

from __future__ import annotations

import pytest

from lbminion.doctor import arp

VIP = "10.0.0.100"
D2, R1, STRANGER = "02:00:00:00:00:02", "02:00:00:00:00:11", "02:00:00:00:00:99"
DIRECTORS, OTHERS = {D2: "d2"}, {R1: "10.0.0.11"}

NEIGHBOURS = """\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.100       0x1         0x2         02:00:00:00:00:11     *        eth0
10.0.0.7         0x1         0x0         00:00:00:00:00:00     *        eth0
"""


@pytest.mark.pitfall("R2")
@pytest.mark.parametrize(
    ("macs", "held", "named"),
    [({R1}, False, "10.0.0.11"), ({D2, R1}, False, "10.0.0.11"), ({STRANGER}, False, "unknown host"), ({R1}, True, R1)],
)
def test_an_answer_of_no_director_is_found(macs: set[str], held: bool, named: str) -> None:
    """Alone, beside the director's, from a stranger, and while this host holds the VIP."""
    (found,) = arp.judge_answers(VIP, macs, held=held, directors=DIRECTORS, others=OTHERS)
    assert (found.id, found.severity, found.subject) == ("R2", "error", VIP)
    assert named in found.seen
    assert "arp_ignore" in found.repair


@pytest.mark.pitfall("V1")
def test_the_answer_of_another_director_to_the_holder_means_two_masters() -> None:
    """And so do two directors that answer a third."""
    (found,) = arp.judge_answers(VIP, {D2}, held=True, directors=DIRECTORS, others=OTHERS)
    assert found.id == "V1"
    (found,) = arp.judge_answers(VIP, {D2, R1}, held=False, directors={D2: "d2", R1: "d3"}, others={})
    assert found.id == "V1"
    assert "d2" in found.seen
    assert "d3" in found.seen


@pytest.mark.pitfall("V14")
def test_a_vip_that_nobody_answers_for_is_found() -> None:
    """Whatever anybody says of its roles."""
    (found,) = arp.judge_answers(VIP, set(), held=False, directors=DIRECTORS, others={})
    assert (found.id, found.severity) == ("V14", "error")


@pytest.mark.parametrize(
    ("macs", "held"),
    [({D2}, False), (set(), True), ({"00:00:5e:00:01:33"}, False)],
    ids=["director", "held", "virtual"],
)
def test_the_right_answer_is_no_symptom(macs: set[str], held: bool) -> None:
    """The MASTER's MAC, no answer beside one's own, a virtual MAC of VRRP."""
    assert not arp.judge_answers(VIP, macs, held=held, directors=DIRECTORS, others=OTHERS)


def test_without_knowing_directors_only_two_answers_are_wrong() -> None:
    """A real server does not know the directors' MACs."""
    assert not arp.judge_answers(VIP, {R1}, held=False, directors={}, others={})
    (found,) = arp.judge_answers(VIP, {R1, D2}, held=False, directors={}, others={})
    assert found.id == "R2"


@pytest.mark.pitfall("V12")
def test_a_stale_neighbour_is_found() -> None:
    """This host sends to one MAC, and another answers; an incomplete entry is none."""
    cached = arp.neighbours(NEIGHBOURS)
    assert cached == {VIP: R1}
    (found,) = arp.judge_neighbours(cached, {VIP: {D2}})
    assert found.id == "V12"
    assert R1 in found.seen
    assert D2 in found.seen
    assert not list(arp.judge_neighbours(cached, {VIP: {R1}}))
    assert not list(arp.judge_neighbours(cached, {VIP: {R1, D2}, "10.0.0.101": {D2}}))
    assert arp.neighbours("") == arp.neighbours("rubbish\nmore rubbish\n") == {}

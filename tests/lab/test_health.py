"""Checks on real kernels: a real server that dies, or that lost its VIP, is taken out of both directors' IPVS tables.

The standby watches like the active one: its probes reach the real servers by the VIP although it does not hold it.
"""

from __future__ import annotations

import time

import pytest
from tests.lab.bench import D1, D2, PORT, QUESTIONS, R1, R2, VIP, Bench, figures

RIP1, RIP2 = "172.28.128.10", "172.28.128.20"
INTERVAL, TIMEOUT, FALL = 1.0, 1.0, 2
CHECK = {"tcp": {}, "interval": INTERVAL, "timeout": TIMEOUT, "rise": 2, "fall": FALL}
SLACK = 3.0
"""Seconds that a busy machine may take for what is no waiting: a question to a guest alone takes half of one."""
HASTY_INTERVAL = 1.5
HASTY = {"tcp": {}, "interval": HASTY_INTERVAL, "timeout": HASTY_INTERVAL, "rise": 1, "fall": 1}
"""A single failed probe takes a real server out; it has more time than a guest of a busy machine stands still."""
FROZEN_SECONDS = 5 * HASTY_INTERVAL
"""So many probes of each real server are late when a minion that was frozen wakes; the master has missed it by then, too."""


def weights(bench: Bench, director: str, port: int = PORT, way: str = "-g") -> dict[str, int]:
    """Name the weights in a director's table, by address."""
    lines = [line.split() for line in bench.table(director) if f"-t {VIP}:{port} -r " in line]
    return {words[4].partition(":")[0]: int(words[words.index("-w") + 1]) for words in lines if way in words}


def until(bench: Bench, wanted: dict[str, int], what: str, port: int = PORT, way: str = "-g") -> float:
    """Wait until both directors have these weights; returns the seconds that it took."""
    begin = time.monotonic()
    for director in (D1, D2):
        bench.hosts.until(lambda it=director: weights(bench, it, port, way) == wanted, f"{director}: {what}")  # type: ignore[misc]
    return time.monotonic() - begin


@pytest.fixture(scope="module")
def watched(bench: Bench) -> Bench:
    """A service of direct routing and one of tunnelling, both watched."""
    services = [
        {"vip": "web", "port": PORT, "scheduler": "rr", "check": CHECK},
        {"vip": "web", "port": PORT + 1, "scheduler": "rr", "forwarding": "tunnel", "check": CHECK},
    ]
    bench.push(bench.file(services))
    both = {RIP1: 1, RIP2: 1}
    until(bench, both, "both real servers take connections")
    until(bench, both, "both real servers take connections by the tunnel", PORT + 1, "-i")
    return bench


@pytest.mark.pitfall("H3")
def test_both_directors_take_real_servers_in_once_they_have_answered(watched: Bench) -> None:
    """And clients are shared among them."""
    watched.shared(VIP, PORT)
    watched.shared(VIP, PORT + 1)


@pytest.mark.pitfall("H1")
@pytest.mark.pitfall("R1")
def test_a_real_server_without_its_vip_is_taken_out_although_it_answers(watched: Bench) -> None:
    """Nobody puts the VIP back here: its minion does not run. Both services are concerned, by either way."""
    gone = "; ".join(f"ip address del {VIP}/32 dev {device}" for device in ("lo", "tunl0"))
    watched.hosts.out(R1, f"systemctl stop lbminion; {gone}")
    try:
        without = {RIP1: 0, RIP2: 1}
        until(watched, without, "the real server without VIP takes no connections")
        until(watched, without, "nor by the tunnel", PORT + 1, "-i")
        answers = watched.ask(VIP, PORT)
        assert (dict(answers.answered), dict(answers.failed)) == ({R2: QUESTIONS}, {})
        assert watched.ask(RIP1, PORT).answered == {R1: QUESTIONS}, "at its own address it answers as ever"
    finally:
        watched.hosts.out(R1, "systemctl start lbminion")
    until(watched, {RIP1: 1, RIP2: 1}, "both take connections again")
    until(watched, {RIP1: 1, RIP2: 1}, "both take connections again by the tunnel", PORT + 1, "-i")


def test_a_service_that_dies_is_taken_out_in_time(watched: Bench) -> None:
    """Within interval x fall + timeout; afterwards no client meets it."""
    watched.hosts.out(R1, "systemctl stop lab-answerer")
    try:
        took = until(watched, {RIP1: 0, RIP2: 1}, "the dead one takes no connections")
        figures.append(f"health: a service that died had weight 0 on both directors after {took:.1f} s")
        assert took < INTERVAL * FALL + TIMEOUT + SLACK
        answers = watched.ask(VIP, PORT)
        assert (dict(answers.answered), dict(answers.failed)) == ({R2: QUESTIONS}, {})
    finally:
        watched.answer_on(R1)
    until(watched, {RIP1: 1, RIP2: 1}, "both take connections again")


@pytest.mark.pitfall("H2")
def test_when_all_fail_half_of_them_stay_in(watched: Bench) -> None:
    """A check that is wrong must not empty the pool."""
    for host in (R1, R2):
        watched.hosts.out(host, "systemctl stop lab-answerer")
    try:
        for director in (D1, D2):
            watched.hosts.until(
                lambda it=director: sorted(weights(watched, it).values()) == [0, 1],  # type: ignore[misc]
                f"{director}: one stays in",
            )
        time.sleep(INTERVAL * FALL + TIMEOUT)  # longer than it would take to take the other one out, too
        assert [sorted(weights(watched, director).values()) for director in (D1, D2)] == [[0, 1], [0, 1]]
    finally:
        for host in (R1, R2):
            watched.answer_on(host)
    until(watched, {RIP1: 1, RIP2: 1}, "both take connections again")


@pytest.mark.pitfall("H3")
def test_a_minion_that_is_killed_takes_nobody_out(watched: Bench) -> None:
    """Its verdicts are kept, and the table stays as it is meanwhile."""
    watched.hosts.out(R1, "systemctl stop lab-answerer")
    try:
        until(watched, {RIP1: 0, RIP2: 1}, "the dead one takes no connections")
        # A verdict is on the disk within a second: by the tick that tells of it.
        failing = f"-> {RIP1}:{PORT} fails"
        watched.hosts.until(lambda: failing in watched.hosts.out(D1, "lbminion status || true"), "it is told")
        watched.hosts.out(D1, "systemctl kill -s KILL lbminion")
        end = time.monotonic() + 6
        while time.monotonic() < end:
            assert weights(watched, D1) == {RIP1: 0, RIP2: 1}
        watched.hosts.until(
            lambda: watched.hosts.out(D1, "systemctl is-active lbminion || true") == "active", "it runs"
        )
    finally:
        watched.answer_on(R1)
    until(watched, {RIP1: 1, RIP2: 1}, "both take connections again")
    watched.shared(VIP, PORT)


# --- what must not be taken for a dead real server ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def hasty(watched: Bench) -> Bench:
    """The service of direct routing is watched hastily."""
    watched.push(watched.file([{"vip": "web", "port": PORT, "scheduler": "rr", "check": HASTY}]))
    until(watched, {RIP1: 1, RIP2: 1}, "both take connections")
    return watched


def stay(bench: Bench, seconds: float) -> None:
    """Both real servers have their weight on both directors all the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert [weights(bench, director) for director in (D1, D2)] == [{RIP1: 1, RIP2: 1}] * 2


def test_a_table_that_somebody_empties_takes_nobody_out(hasty: Bench) -> None:
    """Probes by the VIP meet somebody else until it is healed: the director itself, or the other one."""
    for _ in range(2):
        for director in (D1, D2):
            hasty.hosts.out(director, "ipvsadm -C")
        until(hasty, {RIP1: 1, RIP2: 1}, "the table is as it was")
        stay(hasty, 2 * HASTY_INTERVAL)


def test_a_minion_that_was_frozen_takes_nobody_out(hasty: Bench) -> None:
    """All its probes are late when it wakes."""
    for director in (D1, D2):
        hasty.hosts.out(director, "systemctl kill --kill-whom=main -s STOP lbminion")
    time.sleep(FROZEN_SECONDS)  # how long it is frozen is what is tried here: there is no condition to wait for
    for director in (D1, D2):
        hasty.hosts.out(director, "systemctl kill --kill-whom=main -s CONT lbminion")
    stay(hasty, 3 * HASTY_INTERVAL)

"""interventions: what drains, maintenance, switchovers and evacuations change in what hosts shall have."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState
from lbstates.facts import HostFacts
from lbstates.interventions import (
    NONE,
    Drain,
    Evacuation,
    Interventions,
    Maintenance,
    Switchover,
    decode,
)
from lbstates.kinds.destination import Destination
from lbstates.kinds.priority import Priority, read_priority
from lbstates.resources import resources_for

CLUSTER = """\
cluster: c
directors: {d1: 10.0.0.1, d2: 10.0.0.2, d3: 10.0.0.3}
real_servers: {r1: 10.0.0.11, r2: 10.0.0.12, r3: 10.0.0.13}
vips: {web: 10.0.0.100/24, mail: 10.0.0.101/24}
services:
  - {vip: web, port: 80}
  - {vip: web, ports: [443, 8443]}
  - {vip: mail, ports: [25, "1000-1002"], firewall_mark: auto}
"""
HOMES = "instances: {web: {home: d1}, mail: {home: d2}}\n"
GROUP = "instances: {web: {home: d1, sync_group: g}, mail: {sync_group: g}}\n"


def _state(interventions: Interventions, more: str = HOMES) -> DirectorState:
    state = compile_cluster(parse(CLUSTER + more, "x"), None, interventions)["director"]
    assert isinstance(state, DirectorState)
    return state


def _drained(*drains: Drain, maintenance: Collection[str] = ()) -> set[tuple[str, str]]:
    """Compile, and tell (service, host) of what takes no new connections."""
    state = _state(Interventions(drains=drains, maintenance=tuple(Maintenance(host=host) for host in maintenance)))
    names = {"10.0.0.100": "web", "10.0.0.101": "mail"}
    return {(f"{names[it.vip]}:{it.port}", to.host) for it in state.services for to in it.destinations if to.drained}


def test_a_host_is_drained_in_all_its_services() -> None:
    assert _drained(Drain(host="r1")) == {("web:80", "r1"), ("web:443", "r1"), ("web:8443", "r1"), ("mail:0", "r1")}


def test_a_host_is_drained_in_the_services_of_a_vip() -> None:
    assert _drained(Drain(host="r1", vip="web")) == {("web:80", "r1"), ("web:443", "r1"), ("web:8443", "r1")}


def test_a_host_is_drained_in_one_service() -> None:
    assert _drained(Drain(host="r1", vip="web", port=443)) == {("web:443", "r1")}


@pytest.mark.parametrize("port", [25, 1001])
def test_a_service_by_firewall_mark_is_drained_by_any_of_its_ports(port: int) -> None:
    """It is one to the kernel: its ports cannot be told apart."""
    assert _drained(Drain(host="r2", vip="mail", port=port)) == {("mail:0", "r2")}


def test_what_the_file_does_not_have_is_passed_over() -> None:
    """A drain outlives the pushes that take its host out, and put it back."""
    assert _drained(Drain(host="r9"), Drain(host="r1", vip="dns"), Drain(host="r1", vip="mail", port=26)) == set()


def test_a_host_in_maintenance_is_drained() -> None:
    assert {host for _, host in _drained(maintenance=("r3",))} == {"r3"}


def test_a_drained_destination_has_weight_0() -> None:
    """And the others keep theirs."""
    state = _state(Interventions(drains=(Drain(host="r1", vip="web", port=80),)))
    facts = HostFacts({"10.0.0.1": "eth1"}, "2.2.7", "/run/fifo")
    found = [it for it in resources_for(state, "d1", facts) if isinstance(it, Destination) and it.weight == 0]
    assert [it.identity for it in found] == ["tcp 10.0.0.100:80 -> 10.0.0.11:80"]


def _first(state: DirectorState) -> dict[str, str]:
    return {it.name: max(it.priorities, key=it.priority_of) for it in state.instances}


def test_nothing_is_adjusted_without_interventions() -> None:
    state = _state(NONE)
    assert _first(state) == {"web": "d1", "mail": "d2"}
    assert not any(it.adjustments for it in state.instances)


def test_a_switchover_concerns_its_instance_only() -> None:
    state = _state(Interventions(switchovers=(Switchover(instance="web", director="d3"),)))
    assert _first(state) == {"web": "d3", "mail": "d2"}


def test_the_last_switchover_of_an_instance_counts() -> None:
    both = tuple(Switchover(instance="web", director=director) for director in ("d3", "d2"))
    assert _first(_state(Interventions(switchovers=both))) == {"web": "d2", "mail": "d2"}


def test_a_switchover_takes_the_whole_sync_group_along() -> None:
    """Its instances have one master; whichever of them was named."""
    state = _state(Interventions(switchovers=(Switchover(instance="mail", director="d3"),)), GROUP)
    assert _first(state) == {"web": "d3", "mail": "d3"}


@pytest.mark.parametrize(
    "away",
    [Interventions(evacuations=(Evacuation(director="d1"),)), Interventions(maintenance=(Maintenance(host="d1"),))],
)
def test_an_evacuated_director_is_behind_all_others(away: Interventions) -> None:
    """So is one in maintenance."""
    for instance in _state(away).instances:
        assert min(instance.priorities, key=instance.priority_of) == "d1"


def test_an_evacuation_beats_a_switchover() -> None:
    switchovers = (Switchover(instance="web", director="d3"),)
    assert _first(_state(Interventions(switchovers=switchovers, evacuations=(Evacuation(director="d3"),)))) == {
        "web": "d1",
        "mail": "d2",
    }


def test_the_priorities_themselves_stay() -> None:
    """They are in keepalived.conf, which a switchover must not change: nothing is reloaded."""
    away = Interventions(
        switchovers=(Switchover(instance="web", director="d3"),), evacuations=(Evacuation(director="d1"),)
    )
    assert [it.priorities for it in _state(away).instances] == [it.priorities for it in _state(NONE).instances]


def _priorities(interventions: Interventions, host: str, more: str) -> list[Priority]:
    facts = HostFacts({f"10.0.0.{host[1]}": "eth1"}, "2.2.7", "/run/fifo", adjustments="/var/lib/lbminion/adjustments")
    found = resources_for(_state(interventions, more), host, facts)
    return [it for it in found if isinstance(it, Priority)]


def test_every_director_has_a_file_for_every_election() -> None:
    """Those of a sync group have one together."""
    assert _priorities(NONE, "d1", HOMES) == [Priority("mail", 0), Priority("web", 0)]
    assert _priorities(NONE, "d1", GROUP) == [Priority("mail", 0)]


@pytest.mark.parametrize("vrrp", ["{preempt: false}", "{preempt_delay: 300}"])
def test_where_nobody_preempts_at_once_the_others_hand_over(vrrp: str) -> None:
    """All but the one that shall be master: it keeps what it has."""
    stubborn = HOMES + f"vrrp: {vrrp}\n"
    wanted = Interventions(switchovers=(Switchover(instance="web", director="d3"),))
    assert _priorities(wanted, "d1", stubborn)[1] == Priority("web", -45, hand_over=True)
    assert _priorities(wanted, "d3", stubborn)[1] == Priority("web", 14, hand_over=False)
    assert _priorities(wanted, "d1", HOMES)[1] == Priority("web", 0)


@given(st.text(st.sampled_from("web-"), min_size=1), st.integers(-253, 253), st.booleans())
def test_what_a_file_says_is_read_again(instance: str, adjustment: int, hand_over: bool) -> None:
    priority = Priority(instance, adjustment, hand_over)
    assert read_priority(instance, priority.text) == priority


@pytest.mark.parametrize("text", ["", "1", "abc\n", "1\n2\n", "1000\n", "0x1\n", " 1\n", "1\n# hand over\n\n"])
def test_what_is_not_ours_is_not_read(text: str) -> None:
    assert read_priority("web", text) is None


_NAMES = st.sampled_from(["d1", "d2", "r1", "web"])
_SAID = {"by": st.text(max_size=5), "reason": st.text(max_size=5), "since": st.floats(0, 2e9)}


@given(
    st.builds(
        Interventions,
        st.lists(
            st.builds(Drain, host=_NAMES, vip=st.none() | _NAMES, port=st.none() | st.integers(0, 65535), **_SAID)
        ),
        st.lists(st.builds(Maintenance, host=_NAMES, **_SAID)),
        st.lists(st.builds(Switchover, instance=_NAMES, director=_NAMES, **_SAID)),
        st.lists(st.builds(Evacuation, director=_NAMES, **_SAID)),
    )
)
def test_interventions_survive_the_disk(interventions: Interventions) -> None:
    kept = decode(interventions.encode())
    assert kept.encode() == interventions.encode()
    assert list(kept.drains) == list(interventions.drains)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b'{"drain": []}', b'{"drains": [{"host": "../x"}]}', b'{"drains": [{"host": "r1", "port": -1}]}'],
)
def test_what_is_none_is_refused(raw: bytes) -> None:
    """Unknown fields too: what a later release decided must not be forgotten without a word."""
    with pytest.raises(msgspec.MsgspecError):
        decode(raw)

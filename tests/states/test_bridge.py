"""The state between two: everything new is there, what leaves takes no new connections, and hosts can derive it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from lbstates.bridge import bridge, leaving
from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState, RealServerState, Role, RoleState, decode_state, encode_state
from lbstates.health import Verdict
from lbstates.kinds.destination import Destination
from lbstates.plan import diff, index
from lbstates.pools import decide
from lbstates.resources import resources_for

from .golden_clusters import FOLDERS, facts_of

OLD = """\
cluster: web
directors: {d1: 10.0.0.1, d2: 10.0.0.2}
real_servers: {r1: 10.0.0.11, r2: 10.0.0.12}
vips: {www: 10.0.0.100/24, mail: 10.0.0.101/24}
services:
  - {vip: www, port: 80}
  - {vip: mail, port: 25}
"""


def compiled(text: str, before: RoleState | None = None) -> dict[Role, RoleState]:
    earlier = before if isinstance(before, DirectorState) else None
    return compile_cluster(parse(text, "web.yaml"), earlier)


def between(new: str, old: str = OLD) -> tuple[DirectorState, RealServerState] | None:
    was = compiled(old)
    united = bridge(dict(was), dict(compiled(new, was["director"])))
    if united is None:
        return None
    director, real_server = united["director"], united["realserver"]
    assert isinstance(director, DirectorState)
    assert isinstance(real_server, RealServerState)
    # What travels is checked as any state is.
    assert decode_state(encode_state(director)) == director
    assert decode_state(encode_state(real_server)) == real_server
    return director, real_server


def weights(state: DirectorState) -> dict[str, int]:
    made = resources_for(state, "d1", facts_of(state.hosts["d1"]))
    return {it.identity: it.weight for it in made if isinstance(it, Destination)}


def test_a_real_server_that_leaves_is_drained_and_goes_on_answering() -> None:
    """Weight 0 on the directors, the VIPs still on the host; the others as they will be."""
    united = between(OLD.replace(", r2: 10.0.0.12", ""))
    assert united is not None
    director, real_server = united
    assert weights(director) == {
        "tcp 10.0.0.100:80 -> 10.0.0.11:80": 1, "tcp 10.0.0.100:80 -> 10.0.0.12:80": 0,
        "tcp 10.0.0.101:25 -> 10.0.0.11:25": 1, "tcp 10.0.0.101:25 -> 10.0.0.12:25": 0,
    }  # fmt: skip
    assert set(real_server.hosts) == {"r1", "r2"}
    assert {host for answer in real_server.answers for host in answer.hosts} == {"r1", "r2"}


def test_a_service_that_leaves_is_drained_with_its_vip() -> None:
    """The VIP stays held as long as connections to it have to end."""
    united = between(OLD.replace(", mail: 10.0.0.101/24", "").replace("  - {vip: mail, port: 25}\n", ""))
    assert united is not None
    director, real_server = united
    assert {name for name, weight in weights(director).items() if not weight} == {
        "tcp 10.0.0.101:25 -> 10.0.0.11:25", "tcp 10.0.0.101:25 -> 10.0.0.12:25",
    }  # fmt: skip
    assert {vip.bare for instance in director.instances for vip in instance.vips} == {"10.0.0.100", "10.0.0.101"}
    assert {answer.vip for answer in real_server.answers} == {"10.0.0.100", "10.0.0.101"}


def test_a_port_that_changes_is_both_for_a_while() -> None:
    """The new one takes connections already."""
    united = between(OLD.replace("port: 80", "port: 81"))
    assert united is not None
    assert {name: weight for name, weight in weights(united[0]).items() if "10.0.0.100" in name} == {
        "tcp 10.0.0.100:81 -> 10.0.0.11:81": 1, "tcp 10.0.0.100:81 -> 10.0.0.12:81": 1,
        "tcp 10.0.0.100:80 -> 10.0.0.11:80": 0, "tcp 10.0.0.100:80 -> 10.0.0.12:80": 0,
    }  # fmt: skip


MARKED = "  - {vip: www, ports: [80, 443], firewall_mark: auto}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (MARKED, "  - {vip: www, port: 80}\n  - {vip: www, port: 443}\n"),
        (MARKED, "  - {vip: www, ports: [22, 80, 443], firewall_mark: auto}\n"),
        (MARKED, "  - {vip: www, ports: [443], firewall_mark: auto}\n"),
        (MARKED.replace("auto", "5"), MARKED.replace("auto", "6")),
        ("  - {vip: www, port: 80}\n", "  - {vip: www, port: 0, persistence: 300}\n"),
    ],
    ids=["a mark becomes ports", "a mark gets more", "a mark gets fewer", "another mark", "a port becomes all"],
)
def test_what_leaves_takes_no_packet_of_what_comes(old: str, new: str) -> None:
    """A mark goes before ports, and a port before all ports: drained, it would have clients meet only weight 0."""
    before = OLD.replace("  - {vip: www, port: 80}\n", old)
    with pytest.raises(ValueError, match=r"as long as .* is there, it takes packets of"):
        between(before.replace(old, new), before)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  - {vip: www, port: 80}\n", MARKED),
        ("  - {vip: www, port: 0, persistence: 300}\n", "  - {vip: www, port: 80}\n"),
        (MARKED, "  - {vip: www, port: 8080}\n"),
    ],
    ids=["ports become a mark", "all ports become one", "another port than the mark's"],
)
def test_what_the_kernel_asks_first_comes_beside_what_leaves(old: str, new: str) -> None:
    """Then the new service takes connections at once, and the old one is drained."""
    before = OLD.replace("  - {vip: www, port: 80}\n", old)
    assert between(before.replace(old, new), before) is not None


def test_a_service_that_leaves_has_no_sorry_server_take_over() -> None:
    """It would when all are drained; and the director would say that nobody answers, which takes a push back."""
    served = "port: 80, check: tcp, pool: {sorry_server: {address: 10.0.0.99}}}"
    united = between(OLD.replace("port: 80}", served.replace("80", "81", 1)), OLD.replace("port: 80}", served))
    assert united is not None
    kept, gone = (next(it for it in united[0].services if it.port == port) for port in (81, 80))
    up = {gone.identity_of(it): Verdict("up", established=True, proven=True) for it in gone.destinations}
    assert not decide(gone, up, 10.0).sorry
    assert kept.pool.sorry is not None
    assert not kept.pool.sorry.drained


def test_nothing_is_between_two_states_when_nothing_leaves() -> None:
    """Additions and other weights need no bridge; nor does a first push."""
    assert between(OLD) is None
    assert between(OLD.replace("port: 25}", "port: 25, scheduler: rr}")) is None
    assert between(OLD.replace("r2: 10.0.0.12", "r2: 10.0.0.12, r3: 10.0.0.13")) is None
    assert bridge({}, dict(compiled(OLD))) is None


def test_a_real_server_that_becomes_a_director_leaves_at_once() -> None:
    """It cannot be both: its destinations are drained, and it answers no more."""
    united = between(OLD.replace(", r2: 10.0.0.12", "").replace("d2: 10.0.0.2", "d2: 10.0.0.2, r2: 10.0.0.12"))
    assert united is not None
    assert set(united[1].hosts) == {"r1"}
    assert weights(united[0])["tcp 10.0.0.100:80 -> 10.0.0.12:80"] == 0


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_cluster_without_its_first_service_is_bridged(folder: Path) -> None:
    """Whatever the service is: every host can derive the state between, and what stays is as it was."""
    cluster = parse((folder / "cluster.yaml").read_text(), "cluster.yaml")
    old = compile_cluster(cluster)
    director, real_server = old["director"], old["realserver"]
    assert isinstance(director, DirectorState)
    shorter = replace(director, services=director.services[1:])
    united = bridge(dict(old), {"director": shorter, "realserver": real_server})
    if not director.services[0].destinations:
        assert united is None
        return
    assert united is not None
    both = united["director"]
    assert isinstance(both, DirectorState)
    assert leaving(both, shorter) == leaving(director, shorter)
    for host in both.hosts:
        facts = facts_of(both.hosts[host])
        made, will = index(resources_for(both, host, facts)), index(resources_for(shorter, host, facts))
        assert not [step for step in diff(will, made, {}) if step.verb == "add"]

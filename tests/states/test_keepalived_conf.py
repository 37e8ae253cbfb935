"""keepalived_conf: what the rendered file has, and what it never has. Whether keepalived takes it: tests/netns."""

from __future__ import annotations

import random

import msgspec

from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState
from lbstates.facts import HostFacts
from lbstates.keepalived_conf import MARKER, render, vips
from lbstates.kinds.address import Address
from lbstates.vrrp import Vip


def _director(text: str) -> DirectorState:
    state = compile_cluster(parse(text, "x"))["director"]
    assert isinstance(state, DirectorState)
    return state


def _facts(interface: str = "eth1") -> HostFacts:
    """Facts that do for any director of the five-VM cluster."""
    return HostFacts({f"172.28.128.{n}0": interface for n in (3, 4, 5)}, "2.2.7", "/run/fifo")


def test_the_first_line_marks_the_file_as_ours(director_state: DirectorState) -> None:
    first = render(director_state, "netology3", _facts()).splitlines()[0]
    assert first.startswith(MARKER)
    assert "cluster netology" in first


def test_s3_the_script_user_stands_before_the_fifo(director_state: DirectorState) -> None:
    """Otherwise keepalived says nothing more on the FIFO after its first reload."""
    lines = [line.strip() for line in render(director_state, "netology3", _facts()).splitlines()]
    assert (
        lines.index("enable_script_security")
        < lines.index("script_user root")
        < lines.index("vrrp_notify_fifo /run/fifo")
    )


def test_s4_s5_v7_v11_what_is_never_rendered(director_state: DirectorState) -> None:
    """No scripts, no state MASTER, no vrrp_strict, no virtual servers: IPVS has one writer."""
    text = render(director_state, "netology3", _facts())
    for word in ("state MASTER", "vrrp_strict", "virtual_server ", "notify_master", "vrrp_script", "nopreempt"):
        assert word not in text


def test_v12_the_vip_is_announced_again_and_again(director_state: DirectorState) -> None:
    assert "vrrp_garp_master_refresh 60" in render(director_state, "netology3", _facts())


def test_s6_directors_differ_in_what_must_differ_only(director_state: DirectorState) -> None:
    """Router id, priority and source address."""
    one, other = (render(director_state, host, _facts()).splitlines() for host in ("netology3", "netology4"))
    assert len(one) == len(other)
    differing = [a.split()[0] for a, b in zip(one, other, strict=True) if a != b]
    assert differing == ["router_id", "priority", "mcast_src_ip"]


def test_the_text_does_not_depend_on_the_order_in_the_state(director_state: DirectorState) -> None:
    instances = [
        msgspec.structs.replace(
            director_state.instances[0], name=f"v{i}", virtual_router_id=i, vips=(Vip(f"172.28.128.20{i}/24"),)
        )
        for i in range(1, 9)
    ]
    texts = set()
    for seed in range(5):
        random.Random(seed).shuffle(instances)
        shuffled = msgspec.structs.replace(director_state, instances=tuple(instances))
        texts.add(render(shuffled, "netology3", _facts()))
    assert len(texts) == 1


def test_v9_unicast_peers_are_all_other_directors(netology_text: str) -> None:
    text = netology_text.replace("real_servers:", "  netology5: 172.28.128.50\nreal_servers:", 1)
    state = _director(text + "vrrp: {mode: unicast}\n")
    for host, entry in state.hosts.items():
        rendered = render(state, host, _facts())
        assert f"unicast_src_ip {entry.address}\n" in rendered
        peers = rendered.partition("unicast_peer {\n")[2].partition("}")[0].split()
        assert sorted(peers) == sorted(other.address for other in state.hosts.values() if other != entry)


def test_a_single_director_has_no_empty_peer_list(netology_text: str) -> None:
    state = _director(netology_text.replace("  netology4: 172.28.128.40\n", "") + "vrrp: {mode: unicast}\n")
    assert "unicast_peer" not in render(state, "netology3", _facts())


def test_v8_a_password_makes_it_version_2(netology_text: str) -> None:
    rendered = render(_director(netology_text + "vrrp: {auth_pass: secret12}\n"), "netology3", _facts())
    assert "    vrrp_version 2\n" in rendered
    assert "    authentication {\n        auth_type PASS\n        auth_pass secret12\n    }\n" in rendered


def test_v5_the_advert_interval_is_one_for_all(netology_text: str) -> None:
    state = _director(netology_text + "vrrp: {advert_interval: 0.25}\n")
    assert all("advert_int 0.25\n" in render(state, host, _facts()) for host in state.hosts)


def test_the_vips_of_a_rendered_file_can_be_read_back(netology_text: str) -> None:
    """So that what a dead keepalived left on its interfaces is known."""
    text = netology_text.replace("services:", "  b: 172.28.128.201/24\nservices:")
    rendered = render(_director(text), "netology3", _facts("eth1.5"))
    assert vips(rendered) == {
        "b": (Address("eth1.5", "172.28.128.201/24"),),
        "web": (Address("eth1.5", "172.28.128.200/24"),),
    }
    assert vips(rendered.replace(MARKER, "# Mine")) == {}

"""keepalived_conf: what the rendered file has, and what it never has. Whether keepalived takes it: tests/netns."""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec
import pytest

from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState, Host
from lbstates.errors import CannotDerive
from lbstates.facts import HostFacts
from lbstates.keepalived_conf import MARKER, render, vips
from lbstates.kinds.address import Address
from lbstates.vrrp import Garp, Mode, Route, Rule, Vip, VrrpInstance


def _director(text: str) -> DirectorState:
    state = compile_cluster(parse(text, "x"))["director"]
    assert isinstance(state, DirectorState)
    return state


def _facts(interface: str = "eth1", keepalived: str | None = "2.2.7") -> HostFacts:
    """Facts that do for any director of the five-VM cluster."""
    mtus = dict.fromkeys((interface, "eth2", "eth1.100"), 1500)
    addresses = {f"172.28.128.{n}0": interface for n in (3, 4, 5)}
    return HostFacts(addresses, keepalived, "/run/fifo", "/run/alive.lock", mtus=mtus)


def test_the_first_line_marks_the_file_as_ours(director_state: DirectorState) -> None:
    first = render(director_state, "netology3", _facts()).splitlines()[0]
    assert first.startswith(MARKER)
    assert "cluster netology" in first


@pytest.mark.pitfall("S3")
def test_s3_the_script_user_stands_before_the_fifo(director_state: DirectorState) -> None:
    """Otherwise keepalived says nothing more on the FIFO after its first reload."""
    lines = [line.strip() for line in render(director_state, "netology3", _facts()).splitlines()]
    assert (
        lines.index("enable_script_security")
        < lines.index("script_user root")
        < lines.index("vrrp_notify_fifo /run/fifo")
    )


@pytest.mark.pitfall("S4")
@pytest.mark.pitfall("S5")
@pytest.mark.pitfall("V7")
@pytest.mark.pitfall("V11")
def test_s4_s5_v7_v11_what_is_never_rendered(director_state: DirectorState) -> None:
    """No notify scripts, no state MASTER, no vrrp_strict, no virtual servers: IPVS has one writer."""
    text = render(director_state, "netology3", _facts())
    for word in ("state MASTER", "vrrp_strict", "virtual_server ", "notify_master", "nopreempt"):
        assert word not in text


@pytest.mark.pitfall("V12")
def test_v12_the_vip_is_announced_again_and_again(director_state: DirectorState) -> None:
    assert "vrrp_garp_master_refresh 60" in render(director_state, "netology3", _facts())


@pytest.mark.pitfall("S6")
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


@pytest.mark.pitfall("V9")
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


@pytest.mark.pitfall("V8")
def test_v8_a_password_makes_it_version_2(netology_text: str) -> None:
    rendered = render(_director(netology_text + "vrrp: {auth_pass: secret12}\n"), "netology3", _facts())
    assert "    version 2\n" in rendered
    assert "    authentication {\n        auth_type PASS\n        auth_pass secret12\n    }\n" in rendered


@pytest.mark.pitfall("V5")
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


def _two(mode: Mode = "multicast", *instances: VrrpInstance, **fields: object) -> DirectorState:
    """Two directors, and one instance of which `fields` differ, unless instances are given."""
    one = VrrpInstance("web", 51, (Vip("172.28.128.200/24"),), {"netology3": 250, "netology4": 240})
    hosts = {"netology3": Host("172.28.128.30"), "netology4": Host("172.28.128.40", "fd00::40")}
    return DirectorState("c", hosts, instances or (msgspec.structs.replace(one, **fields),), (), mode)


def _block(text: str, head: str) -> list[str]:
    """The lines of a block in the file."""
    inner = text.partition(f"{head} {{\n")[2]
    return [
        line.strip()
        for line in inner.partition("\n" + inner[: len(inner) - len(inner.lstrip())][4:] + "}")[0].splitlines()
    ]


def _web(state: DirectorState, facts: HostFacts | None = None) -> list[str]:
    return _block(render(state, "netology3", facts or _facts()), "vrrp_instance web")


@pytest.mark.pitfall("V7")
def test_v7_who_does_not_preempt_says_so_as_backup() -> None:
    """keepalived ignores both words under state MASTER, and the delay beside nopreempt."""
    assert {"state BACKUP", "nopreempt"} <= set(_web(_two(preempt=False, preempt_delay=30)))
    assert not [line for line in _web(_two(preempt=False, preempt_delay=30)) if "preempt_delay" in line]
    assert {"state BACKUP", "preempt_delay 30"} <= set(_web(_two(preempt_delay=30)))


@pytest.mark.pitfall("V9")
def test_v9_a_director_without_an_address_of_the_family_is_named() -> None:
    """By unicast it could not hear the others, and both would be masters."""
    with pytest.raises(CannotDerive, match=r"netology3 has no IPv6 address for an election by unicast; .*address6"):
        render(_two("unicast", vips=(Vip("fd00::200/64"),)), "netology4", _facts())


def test_ipv6_by_multicast_needs_no_address_of_the_directors() -> None:
    """The advertisements come from the interface's link-local address."""
    assert not [line for line in _web(_two(vips=(Vip("fd00::200/64"),))) if line.startswith("mcast_src_ip")]


def test_the_minions_life_weighs_more_than_all_ranks() -> None:
    """So that a director without one falls behind all that have theirs, and stands for election all the same."""
    text = render(_two(), "netology3", _facts())
    script = _block(text, "vrrp_script lbminion")
    assert 'script "/usr/bin/flock --nonblock --conflict-exit-code 0 /run/alive.lock /bin/false"' in script
    assert "weight -62" in script
    assert _block(text, "    track_script") == ["lbminion"]


@pytest.mark.pitfall("V18")
def test_v18_the_script_never_brings_an_instance_into_fault() -> None:
    """A weight lowers the priority and comes back by itself; it starts by its full path, as the user that we name."""
    text = render(_two(), "netology3", _facts())
    assert not [line for line in text.splitlines() if line.strip() == "weight 0"]
    assert "    script_user root" in text.splitlines()
    assert [line.split()[1] for line in text.splitlines() if " script " in line] == ['"/usr/bin/flock']


def test_without_a_lock_nobody_watches_the_minion() -> None:
    """Whoever shows a file without knowing the host has none."""
    text = render(_two(), "netology3", msgspec.structs.replace(_facts(), lock=""))
    assert "track_script" not in text
    assert "vrrp_script" not in text


def test_a_lock_that_keepalived_could_misread_is_refused() -> None:
    with pytest.raises(CannotDerive, match=r"lock '/run/a;b'.*absolute path"):
        render(_two(), "netology3", msgspec.structs.replace(_facts(), lock="/run/a;b"))


def test_instances_of_a_sync_group_share_one_weight() -> None:
    """keepalived takes the weight of a script from members; on the group itself it needs a word of its own."""
    one = _two(sync_group="pair").instances[0]
    other = msgspec.structs.replace(one, name="mail", virtual_router_id=52, vips=(Vip("172.28.128.201/24"),))
    text = render(_two("multicast", one, other), "netology3", _facts())
    group = _block(text, "vrrp_sync_group pair")
    assert group == ["group {", "mail", "web", "}", "sync_group_tracking_weight", "track_script {", "lbminion", "}"]
    assert "track_script {" not in _block(text, "vrrp_instance web")


def test_a_sync_group_of_one_is_none() -> None:
    """keepalived complains of it, and there is nothing to synchronise."""
    text = render(_two(sync_group="alone"), "netology3", _facts())
    assert "vrrp_sync_group" not in text
    assert "track_script {" in _block(text, "vrrp_instance web")


def test_the_announcements_are_as_the_cluster_file_wants_them() -> None:
    state = msgspec.structs.replace(_two(), garp=Garp(3, 2, 30, 4, 6, 7))
    assert [line for line in _block(render(state, "netology3", _facts()), "global_defs") if "garp" in line] == [
        "vrrp_garp_master_repeat 3",
        "vrrp_garp_master_delay 2",
        "vrrp_garp_master_refresh 30",
        "vrrp_garp_master_refresh_repeat 4",
        "vrrp_garp_lower_prio_repeat 6",
        "vrrp_garp_lower_prio_delay 7",
    ]


def test_the_interface_of_an_instance_counts_more_than_that_of_a_director() -> None:
    """A director's is for the one whose cabling differs; without both it is the one with the director's address."""

    def on_eth2(state: DirectorState) -> DirectorState:
        return msgspec.structs.replace(
            state, hosts=state.hosts | {"netology3": Host("172.28.128.30", interface="eth2")}
        )

    assert "interface eth1" in _web(_two())
    assert "interface eth2" in _web(on_eth2(_two()))
    assert "interface eth1.100" in _web(on_eth2(_two(interface="eth1.100")))


def test_an_election_on_another_interface_has_a_source_address_of_that_interface() -> None:
    """Which keepalived finds by itself."""
    assert "mcast_src_ip 172.28.128.30" in _web(_two())
    assert not [line for line in _web(_two(interface="eth1.100")) if "mcast_src_ip" in line]


def test_the_own_interface_is_not_tracked_twice() -> None:
    """Directors may run an election on different interfaces, and share the list of those that are tracked."""
    assert "track_interface {" not in _web(_two(track_interfaces=("eth1",)))
    state = _two(track_interfaces=("eth2", "eth1"))
    assert _block(render(state, "netology3", _facts()), "    track_interface") == ["eth2"]


MISSING = {
    "of an instance": ({"interface": "bond7"}, "the instance web"),
    "of a VIP": ({"vips": (Vip("172.28.128.200/24", "bond7"),)}, "a VIP of the instance web"),
    "that is tracked": ({"track_interfaces": ("bond7",)}, "`track_interfaces`"),
    "of a route": ({"routes": (Route("default", interface="bond7"),)}, "a route of the instance web"),
}


@pytest.mark.parametrize("which", MISSING)
def test_an_interface_that_the_host_lacks_is_named(which: str) -> None:
    """With the place in the cluster file, and what there is."""
    fields, place = MISSING[which]
    with pytest.raises(CannotDerive, match=rf"netology3: interface bond7: .*{place}.*eth1 172\.28\.128\.30"):
        render(_two(**fields), "netology3", _facts())


@pytest.mark.parametrize(
    ("vip", "anything", "gateway"),
    [("172.28.128.200/24", "0.0.0.0/0", "172.28.128.1"), ("fd00::200/64", "::/0", "fd00::1")],
)
def test_everything_is_written_as_a_network_of_the_family(vip: str, anything: str, gateway: str) -> None:
    """keepalived knows the word "default" for IPv4 only, and takes a rule without networks for one of IPv4."""
    state = _two(
        vips=(Vip(vip),),
        routes=(Route("default", gateway, "eth1", 7), Route("default", gateway, "eth1", source=vip[:-3], metric=50)),
        rules=(Rule(7), Rule(8, source="default", priority=5), Rule(9, to="default")),
    )
    text = render(state, "netology3", _facts())
    assert _block(text, "    virtual_routes") == [
        f"{anything} via {gateway} dev eth1 table 7",
        f"{anything} via {gateway} dev eth1 src {vip[:-3]} metric 50",
    ]
    assert _block(text, "    virtual_rules") == [
        f"from {anything} table 7 priority 16384",
        f"from {anything} table 8 priority 5",
        f"to {anything} table 9 priority 16386",
    ]


@pytest.mark.parametrize(
    ("keepalived", "tracked"), [("2.2.7", False), ("2.3.1", False), ("2.3.2", True), ("2.4", True)]
)
def test_a_route_without_interface_is_tracked_where_keepalived_can(keepalived: str, tracked: bool) -> None:
    """Older ones complain, unless they are told not to."""
    text = render(_two(routes=(Route("10.9.0.0/16", "172.28.128.1"),)), "netology3", _facts(keepalived=keepalived))
    end = "" if tracked else " no_track"
    assert _block(text, "    virtual_routes") == [f"10.9.0.0/16 via 172.28.128.1{end}"]


@pytest.mark.parametrize("version", ["1.3.5", "2.1.5", "devel"])
def test_a_keepalived_that_nobody_tried_is_refused(version: str) -> None:
    with pytest.raises(CannotDerive, match=rf"keepalived {version}: it is older than 2\.2; install 2\.2 or newer"):
        render(_two(), "netology3", _facts(keepalived=version))


def test_a_route_is_not_read_back_as_a_vip() -> None:
    """Although its line looks like one."""
    text = render(_two(routes=(Route("10.9.0.0/16", interface="eth2"),)), "netology3", _facts(keepalived="2.3.2"))
    assert "        10.9.0.0/16 dev eth2\n" in text
    assert vips(text) == {"web": (Address("eth1", "172.28.128.200/24"),)}


def test_an_ipv6_vip_is_no_source_of_what_the_director_sends_itself() -> None:
    """Real servers drop wrapped packets from an address of their own; and it reads back as the VIP that it is."""
    text = render(_two(vips=(Vip("fd00::200/64"),)), "netology3", _facts())
    assert "        fd00::200/64 dev eth1 preferred_lft 0\n" in text
    assert vips(text)["web"] == (Address("eth1", "fd00::200/64"),)


@pytest.mark.pitfall("V4")
def test_the_advertised_vip_stays_the_same_while_it_is_there() -> None:
    """Whatever the file has before it; a state from before advertises as many as it did."""
    head = (
        "cluster: c\ndirectors: {d1: 10.0.0.1}\nreal_servers: {r1: 10.0.0.9}\nservices: [{vip: b, port: 80}]\nvips:\n"
    )

    def instance(octets: Mapping[str, int], before: DirectorState | None = None) -> tuple[DirectorState, VrrpInstance]:
        vips = (f"  {name}: {{address: 10.0.0.{octet}/24, instance: web}}\n" for name, octet in octets.items())
        state = compile_cluster(parse(head + "".join(vips), "x"), before)["director"]
        assert isinstance(state, DirectorState)
        return state, state.instances[0]

    state, only = instance({"b": 102})
    assert [vip.bare for vip in only.advertised] == ["10.0.0.102"]
    state, more = instance({"a": 101, "b": 102, "c": 103}, state)
    assert [vip.bare for vip in more.vips] == ["10.0.0.102", "10.0.0.101", "10.0.0.103"]
    assert more.advertised == only.advertised
    _, less = instance({"a": 101, "b": 104}, state)
    assert [vip.bare for vip in less.advertised] == ["10.0.0.101"]
    assert len(msgspec.structs.replace(more, advertise_first=False).advertised) == 3

from __future__ import annotations

import json

import pytest
from tests.master.cli import examples
from tests.master.cli.conftest import Run

from lbmaster.cli.page import Line
from lbmaster.cli.render_host import host_document, host_page
from lbmaster.offline import Assumptions, HostView, host_view
from lbstates.clusterfile import parse
from lbstates.kinds.destination import Destination
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.mark import Mark
from lbstates.kinds.module import Module
from lbstates.kinds.service import Service
from lbstates.kinds.sysctl import Sysctl


def sections(output: str) -> dict[str, list[str]]:
    """The sections of a page by title."""
    found = {}
    for part in output.split("\n\n"):
        title, *lines = part.splitlines()
        found[title.rstrip(":")] = [line.removeprefix("  ") for line in lines]
    return found


def test_a_real_server_is_shown(run: Run) -> None:
    """ARP sysctls and the VIP; offline, and what was assumed is said."""
    result = run("show", "-", "--host", "netology1", text=examples.CLUSTER_FILE)

    assert (result.exit_code, result.stderr) == (0, "")
    first, assumed = result.stdout.splitlines()[:2]
    assert first == "netology1: real server of the cluster netology"
    assert assumed.startswith("Assumed, because only the host itself knows: ")
    assert "interface eth0" in assumed
    shown = sections(result.stdout)
    assert "net/ipv4/conf/eth0/arp_ignore = 1" in shown["sysctl"]
    assert shown["address"] == ["lo 172.28.128.200/32"]


def test_a_director_is_shown(run: Run) -> None:
    """The table in ipvsadm's words, and the whole keepalived.conf."""
    output = run("show", "-", "--host", "netology3", text=examples.CLUSTER_FILE).stdout

    assert output.startswith("netology3: director of the cluster netology\n")
    assert sections(output)["ipvsadm -Sn"] == [
        "-A -t 172.28.128.200:80 -s rr",
        "-a -t 172.28.128.200:80 -r 172.28.128.10:80 -g -w 1",
        "-a -t 172.28.128.200:80 -r 172.28.128.20:80 -g -w 1",
    ]
    assert "\n  vrrp_instance web {\n" in output
    assert "\n      priority 250\n" in output


def test_the_interface_can_be_named(run: Run) -> None:
    """Only the host knows it, so the user may say it."""
    arguments = ("show", "-", "--host", "netology3", "--interface", "ens3")

    assert "      interface ens3\n" in run(*arguments, text=examples.CLUSTER_FILE).stdout


def test_the_interface_of_the_file_is_taken(run: Run) -> None:
    """Then nothing is assumed about it."""
    text = f"{examples.CLUSTER_FILE}vrrp: {{interface: bond0.7}}\n"
    output = run("show", "-", "--host", "netology3", text=text).stdout

    assert "      interface bond0.7\n" in output
    assert "interface eth0" not in output


EVERYTHING = """\
cluster: shop
directors: {d1: {address: 10.0.0.11, address6: "fd00::11"}, d2: {address: 10.0.0.12, address6: "fd00::12", interface: bond0}}
real_servers: {r1: {address: 10.0.0.21, address6: "fd00::21"}, d2: {address: 10.0.0.12, address6: "fd00::12"}}
vips: {web: 10.0.0.1/24, web6: "fd00::1/64", dns: {address: 10.0.0.2/24, interface: bond0.7}}
instances:
  web: {sync_group: all}
  web6: {sync_group: all}
  dns: {sync_group: all, home: d1, track_interfaces: [bond1]}
services:
  - {vip: web, ports: [80, 443], firewall_mark: auto, scheduler: sh, scheduler_flags: [sh-port], persistence: 300}
  - {vip: web6, port: 80, real_servers: {r1: {upper_threshold: 100, lower_threshold: 50}}}
  - {vip: dns, port: 53, protocol: udp, one_packet: true, forwarding: tunnel, real_servers: {r1: 2}}
ipvs: {timeouts: {tcp: 600}, sync: {}, backup_only: true}
"""


def test_a_director_with_everything_is_shown(run: Run) -> None:
    """Modules, marks, timeouts, daemons; flags and thresholds in the table."""
    output = run("show", "-", "--host", "d1", text=EVERYTHING).stdout
    shown = sections(output)

    assert "VRRP MASTER of dns and web and web6" in output.splitlines()[1]
    assert "ip_vs_sh" in shown["module"]
    assert any("10.0.0.1 80,443: mark " in line for line in shown["mark"])
    assert any(line.endswith(" -s sh -p 300 -b sh-port") for line in shown["ipvsadm -Sn"])
    assert "-a -t [fd00::1]:80 -r [fd00::21]:80 -g -w 1 -x 100 -y 50" in shown["ipvsadm -Sn"]
    assert "-A -u 10.0.0.2:53 -s wlc -o" in shown["ipvsadm -Sn"]
    assert shown["timeouts"] == ["tcp 600 s, tcpfin 120 s, udp 300 s"]
    assert [line.partition(":")[0] for line in shown["sync_daemon"]] == ["master"]
    assert "          bond1\n" in output


def test_a_host_of_both_roles_is_shown_as_both(run: Run) -> None:
    """Its own address keeps its method, as in the kernel; its interface is the file's."""
    output = run("show", "-", "--host", "d2", text=EVERYTHING).stdout

    assert output.startswith("d2: real server and director of the cluster shop\n")
    assert "lo 10.0.0.1/32" in sections(output)["address"]
    assert "      interface bond0\n" in output
    assert "net/ipv4/conf/bond0/arp_ignore = 1" in sections(output)["sysctl"]
    document = json.loads(run("show", "-", "--host", "d2", "--json", text=EVERYTHING).stdout)
    forwarding = {each["address"]: each["forwarding"] for each in document["resources"]["destination"]}
    assert forwarding["10.0.0.12"] == "direct"


def test_the_version_of_keepalived_can_be_named(run: Run) -> None:
    """Releases differ; one that is too old is refused with the way out."""
    new = run("show", "-", "--host", "netology3", "--keepalived", "2.3.4", text=examples.CLUSTER_FILE)
    old = run("show", "-", "--host", "netology3", "--keepalived", "1.3.9", text=examples.CLUSTER_FILE)

    assert "keepalived 2.3.4" in new.stdout.splitlines()[1]
    assert (old.exit_code, "it is older than 2.2" in old.stderr) == (2, True)


def test_json_has_keepalived_conf_and_the_table_as_text(run: Run) -> None:
    """For `keepalived --config-test` and `ipvsadm -R`."""
    document = json.loads(run("show", "-", "--host", "netology4", "--json", text=examples.CLUSTER_FILE).stdout)

    assert (document["host"], document["cluster"], document["roles"]) == ("netology4", "netology", ["director"])
    assert document["keepalived_conf"].startswith("# Written by lbmaster")
    assert document["ipvsadm"][0] == "-A -t 172.28.128.200:80 -s rr"
    assert document["resources"]["service"][0]["identity"] == "tcp 172.28.128.200:80"
    assert set(document["resources"]) >= {"sysctl", "service", "destination", "keepalived"}


def test_a_real_server_has_no_keepalived_conf(run: Run) -> None:
    """And no table."""
    document = json.loads(run("show", "-", "--host", "netology1", "--json", text=examples.CLUSTER_FILE).stdout)

    assert (document["keepalived_conf"], document["ipvsadm"]) == (None, [])


def test_a_host_that_the_file_does_not_have_exits_2(run: Run) -> None:
    """With those that it has."""
    result = run("show", "-", "--host", "netology9", text=examples.CLUSTER_FILE)

    assert result.exit_code == 2
    assert "there is no host netology9; name one of: netology3, netology4, netology1, netology2" in result.stderr


def test_a_wrong_file_exits_2_with_its_findings(run: Run) -> None:
    """As check says them."""
    result = run("show", "-", "--host", "netology1", text=examples.CLUSTER_FILE.replace("port: 80", "port: 99999"))

    assert (result.exit_code, "services[0].port" in result.stderr) == (2, True)


@pytest.mark.parametrize("words", [["-"], ["placement", "-", "--host", "netology1"]])
def test_host_or_placement_must_be_said(run: Run, words: list[str]) -> None:
    """One of them, not both."""
    result = run("show", *words, text=examples.CLUSTER_FILE)

    assert (result.exit_code, "lbmaster show FILE --host NAME" in result.stderr) == (2, True)


def test_every_kind_has_its_section() -> None:
    """In the order in which things are put; services and destinations together, with thresholds."""
    web = Service("tcp", "10.0.0.1", 80, "rr")
    view = HostView(
        "d1",
        "shop",
        ("director", "realserver"),
        (
            Destination(web.identity, "10.0.0.10", 80, "direct", 1, upper=100, lower=50),
            web,
            Mark("tcp", "10.0.0.1", ("80", "443"), 7),
            Sysctl("net/ipv4/ip_forward", "1"),
            Module("ip_vs"),
        ),
        {},
    )

    assert [line.text for line in host_page(view) if isinstance(line, Line)] == [
        "d1: director and real server of the cluster shop",
        "",
        "module:",
        "ip_vs",
        "",
        "sysctl:",
        "net/ipv4/ip_forward = 1",
        "",
        "mark:",
        "tcp 10.0.0.1 80,443: mark 7",
        "",
        "ipvsadm -Sn:",
        "-A -t 10.0.0.1:80 -s rr",
        "-a -t 10.0.0.1:80 -r 10.0.0.10:80 -g -w 1 -x 100 -y 50",
    ]
    assert host_document(view)["resources"]["module"] == [{"identity": "ip_vs", "name": "ip_vs"}]


def test_a_host_without_a_service_has_nothing() -> None:
    """And that is said."""
    assert host_page(HostView("r3", "shop", ("realserver",), (), {}))[-1] == Line(
        "Nothing: no service needs this host."
    )


def test_an_interface_of_one_election_is_not_taken_for_that_of_the_others() -> None:
    """A gateway VIP inside says nothing about where the director's address is."""
    text = (
        "cluster: shop\ndirectors: {d1: 10.0.0.2}\nreal_servers: {r1: 192.168.1.11}\n"
        "vips: {web: 10.0.0.100/24, inside: 192.168.1.1/24}\ninstances: {inside: {interface: eth1}}\n"
        "services: [{vip: web, port: 80, forwarding: masquerade}]\n"
    )
    view = host_view(parse(text, "x"), "d1", Assumptions("eth7"))
    assert view.assumed["interface"] == "eth7"
    (keepalived,) = (it for it in view.resources if isinstance(it, Keepalived))
    assert "10.0.0.100/24 dev eth7" in keepalived.config
    assert "192.168.1.1/24 dev eth1" in keepalived.config
    assert keepalived.config.count("mcast_src_ip") == 1


def test_a_masqueraded_real_server_is_said_to_need_a_default_route() -> None:
    """Nothing is made there, and still a service uses it."""
    text = (
        "cluster: shop\ndirectors: {d1: 10.0.0.2}\nreal_servers: {r1: 10.0.0.11}\nvips: {web: 10.0.0.100/24}\n"
        "services: [{vip: web, port: 80, forwarding: masquerade}]\n"
    )
    view = host_view(parse(text, "x"), "r1", Assumptions())
    assert view.resources == ()
    assert host_page(view)[-1] == Line(
        "Masquerading needs nothing of lbmaster here; the default route must lead to a director."
    )

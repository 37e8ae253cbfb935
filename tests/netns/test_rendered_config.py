"""The keepalived.conf that is rendered, judged by the real keepalived; skipped never: it must be installed here."""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.states.golden_clusters import FOLDERS, INTERFACES, facts_of
from tests.waiting import until

from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState
from lbstates.facts import HostFacts
from lbstates.keepalived_conf import render
from lbstates.vrrp import VrrpInstance

pytestmark = pytest.mark.needs_root

CLUSTER = """\
cluster: netology
directors: {netology3: 172.28.128.30, netology4: 172.28.128.40, netology5: 172.28.128.50}
real_servers: {netology1: 172.28.128.10}
vips: {web: 172.28.128.200/24, mail.example: 172.28.128.201/24, dns: 172.28.129.200/16}
services:
  - {vip: web, port: 80}
  - {vip: mail.example, port: 25}
  - {vip: dns, port: 53, protocol: udp}
"""
CLUSTER_6 = """\
cluster: netology
directors:
  netology3: {address: 172.28.128.30, address6: "fd00::30"}
  netology4: {address: 172.28.128.40, address6: "fd00::40"}
  netology5: {address: 172.28.128.50, address6: "fd00::50"}
real_servers: {netology1: {address: 172.28.128.10, address6: "fd00::10"}}
vips:
  a6: "fd00::200/64"
  b6: "fd00::201/64"
  c6: "fd00::202/64"
services:
  - {vip: a6, port: 80}
"""
OPTIONS = {
    "defaults": "",
    "unicast": "vrrp: {mode: unicast}",
    "fast": "vrrp: {advert_interval: 0.05}",
    "slow": "vrrp: {advert_interval: 40.95}",
    "password": "vrrp: {auth_pass: 'a1._:+-Z'}",
    "password and unicast": "vrrp: {auth_pass: secret12, mode: unicast, advert_interval: 3}",
    "interface": "vrrp: {interface: eth1}",
    "patient": "vrrp: {preempt_delay: 1000}",
    "stubborn": "vrrp: {preempt: false}",
    "silent": "vrrp: {garp: {repeat: 1, delay: 0, refresh: 0, lower_priority_repeat: 0, lower_priority_delay: 0}}",
    "loud": "vrrp: {garp: {repeat: 1000, delay: 4294, refresh: 2678400, refresh_repeat: 1000, "
    "lower_priority_repeat: 1000, lower_priority_delay: 4294}}",
}


def _state(text: str) -> DirectorState:
    state = compile_cluster(parse(text, "x"))["director"]
    assert isinstance(state, DirectorState)
    return state


def _render(text: str, host: str, fifo: Path) -> str:
    state = _state(text)
    interfaces = dict.fromkeys(state.hosts[host].addresses, "eth1")
    return render(state, host, HostFacts(interfaces, "2.2.7", str(fifo), str(fifo.with_suffix(".lock"))))


class Directors:
    """A namespace for each director, all on one bridge, `eth1` in each with the director's address."""

    def __init__(self, count: int) -> None:
        suffix = secrets.token_hex(3)
        self.bridge = f"lbrend-{suffix}"
        self.names = [f"lbrend-{suffix}-{i}" for i in range(count)]

    def make(self, addresses: list[str]) -> None:
        _run("ip", "netns", "add", self.bridge)
        _run("ip", "-n", self.bridge, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        _run("ip", "-n", self.bridge, "link", "set", "br0", "up")
        for i, (name, address) in enumerate(zip(self.names, addresses, strict=True)):
            _run("ip", "netns", "add", name)
            peer = ("peer", "name", "eth1", "netns", name)
            _run("ip", "-n", self.bridge, "link", "add", f"p{i}", "type", "veth", *peer)
            _run("ip", "-n", self.bridge, "link", "set", f"p{i}", "master", "br0", "up")
            _run("ip", "-n", name, "addr", "add", f"{address}/16", "dev", "eth1")
            # The last number of the IPv4 address, read as hexadecimal, without duplicate address detection.
            six = f"fd00::{address.rpartition('.')[2]}/64"
            _run("ip", "-n", name, "addr", "add", six, "dev", "eth1", "nodad")
            _run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.eth1.accept_dad=0")
            _run("ip", "-n", name, "link", "set", "eth1", "up")
            _run("ip", "-n", name, "link", "set", "lo", "up")

    def remove(self) -> None:
        for name in (*self.names, self.bridge):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.fixture
def directors() -> Iterator[Callable[[list[str]], list[str]]]:
    """Make a namespace per address; returns their names."""
    with contextlib.ExitStack() as stack:

        def make(addresses: list[str]) -> list[str]:
            made = Directors(len(addresses))
            stack.callback(made.remove)
            made.make(addresses)
            return made.names

        yield make


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


def _config_test(namespace: str, file: Path, log: Path) -> tuple[int, str]:
    assert file.exists()  # keepalived finds nothing wrong with a file that is not there
    log.write_text("")
    command = ["ip", "netns", "exec", namespace, "keepalived", f"--config-test={log}", f"--use-file={file}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    return done.returncode, log.read_text() + done.stderr


@pytest.mark.parametrize("options", OPTIONS)
def test_keepalived_finds_nothing_wrong_with_a_rendered_file(
    options: str, directors: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    """Exit code 0 and not a single message, for every director."""
    (namespace,) = directors(["172.28.128.30"])
    for host in ("netology3", "netology4"):
        file = tmp_path / f"{host}.conf"
        file.write_text(_render(f"{CLUSTER}{OPTIONS[options]}\n", host, tmp_path / "vrrp.fifo"))
        if host == "netology4":
            _run("ip", "-n", namespace, "addr", "replace", "172.28.128.40/16", "dev", "eth1")
        code, said = _config_test(namespace, file, tmp_path / "log")
        assert (code, said) == (0, "")


@pytest.mark.pitfall("S3")
@pytest.mark.pitfall("S4")
@pytest.mark.pitfall("V11")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_keepalived_finds_nothing_wrong_with_any_cluster(
    folder: Path, directors: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    """Every director's file of every golden cluster, with the interfaces that it names."""
    (namespace,) = directors(["172.28.128.2"])
    for number, interface in enumerate(name for name in INTERFACES if name not in ("eth1", "lo")):
        _run("ip", "-n", namespace, "link", "add", interface, "type", "veth", "peer", "name", f"x{number}")
        _run("ip", "-n", namespace, "link", "set", interface, "up")
    state = _state((folder / "cluster.yaml").read_text())
    for host, entry in state.hosts.items():
        for address in entry.addresses:
            length = "64" if ":" in address else "16"
            _run("ip", "-n", namespace, "addr", "replace", f"{address}/{length}", "dev", entry.interface or "eth1")
        file = tmp_path / f"{host}.conf"
        file.write_text(render(state, host, facts_of(entry, run=str(tmp_path))))
        assert _config_test(namespace, file, tmp_path / "log") == (0, "")


@pytest.mark.pitfall("V18")
def test_v18_keepalived_refuses_a_script_that_it_cannot_run(
    directors: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    """A host without flock(1) learns of it before anything is replaced."""
    (namespace,) = directors(["172.28.128.30"])
    file = tmp_path / "keepalived.conf"
    file.write_text(_render(CLUSTER, "netology3", tmp_path / "vrrp.fifo").replace("/usr/bin/flock", "/usr/bin/flok"))
    code, said = _config_test(namespace, file, tmp_path / "log")
    assert code != 0
    assert "track script lbminion" in said


def test_the_judge_does_find_mistakes(directors: Callable[[list[str]], list[str]], tmp_path: Path) -> None:
    """So that the test above means something."""
    (namespace,) = directors(["172.28.128.30"])
    file = tmp_path / "keepalived.conf"
    good = _render(CLUSTER, "netology3", tmp_path / "vrrp.fifo")
    for bad in (good.replace("eth1", "eth9"), good.replace("priority", "prioity"), good + "}\n"):
        file.write_text(bad)
        assert _config_test(namespace, file, tmp_path / "log")[0] != 0


@contextlib.contextmanager
def _keepalived(namespace: str, text: str, folder: Path) -> Iterator[None]:
    folder.mkdir()
    file = folder / "keepalived.conf"
    file.write_text(text)
    command = ["ip", "netns", "exec", namespace, "keepalived", "--dont-fork", "--vrrp", f"--use-file={file}"]
    command += [f"--pid={folder / 'pid'}", f"--vrrp_pid={folder / 'vrrp.pid'}", "--log-console"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def _holders(namespaces: list[str], vip: str) -> list[int]:
    return [i for i, name in enumerate(namespaces) if f" {vip}/" in _run("ip", "-n", name, "addr", "show")]


ELECTIONS = {
    "multicast": (CLUSTER, "advert_interval: 0.3"),
    "unicast": (CLUSTER, "mode: unicast, advert_interval: 0.3"),
    "version 2 with password": (CLUSTER, "auth_pass: secret12"),
    "IPv6 by multicast": (CLUSTER_6, "advert_interval: 0.3"),
    "IPv6 by unicast": (CLUSTER_6, "mode: unicast, advert_interval: 0.3"),
}


@pytest.mark.pitfall("S5")
@pytest.mark.pitfall("S8")
@pytest.mark.pitfall("V9")
@pytest.mark.parametrize("election", ELECTIONS)
def test_rendered_files_elect_each_vips_home(
    election: str, directors: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    """S5, S8, V1: three directors, three VIPs: each director is MASTER of its own, and nobody else is."""
    cluster, vrrp = ELECTIONS[election]
    text = f"{cluster}vrrp: {{{vrrp}}}\n"
    vips = [instance.vips[0].bare for instance in sorted(_state(text).instances, key=_home)]
    with _running(text, directors, tmp_path) as namespaces:
        _until(namespaces, tmp_path, {vip: [place] for place, vip in enumerate(vips)})


def _home(instance: VrrpInstance) -> str:
    return max(instance.priorities, key=lambda name: instance.priorities[name])


def test_instances_of_a_sync_group_have_one_master(directors: Callable[[list[str]], list[str]], tmp_path: Path) -> None:
    """Of both families. Its interface goes down: all go together."""
    text = CLUSTER_6.replace("services:", "  web: 172.28.128.200/16\nservices:")
    text += "instances: {a6: {sync_group: one, home: netology3}, b6: {sync_group: one}, web: {sync_group: one}}\n"
    vips = ["fd00::200", "fd00::201", "172.28.128.200"]
    with _running(f"{text}vrrp: {{advert_interval: 0.3}}\n", directors, tmp_path) as namespaces:
        _until(namespaces, tmp_path, {vip: [0] for vip in vips})
        _run("ip", "-n", namespaces[0], "link", "set", "eth1", "down")
        held = _until(namespaces[1:], tmp_path, {}, but={vip: [] for vip in vips})
        assert len({tuple(where) for where in held.values()}) == 1


def test_a_director_whose_minion_is_dead_gives_its_vips_up_to_one_whose_minion_lives(
    directors: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    """And keeps them where no minion lives. (The test holds the locks that minions hold while they live.)"""
    with contextlib.ExitStack() as stack:
        minions = [stack.enter_context((tmp_path / f"fifo{place}.lock").open("w")) for place in range(3)]
        for minion in minions:
            fcntl.flock(minion, fcntl.LOCK_EX)
        text = f"{CLUSTER}vrrp: {{advert_interval: 0.3}}\n"
        namespaces = stack.enter_context(_running(text, directors, tmp_path))
        web, mail, dns = "172.28.128.200", "172.28.128.201", "172.28.129.200"
        _until(namespaces, tmp_path, {web: [0], mail: [1], dns: [2]})
        minions[0].close()
        _until(namespaces, tmp_path, {mail: [1], dns: [2]}, but={web: [0]})
        minions[1].close()
        minions[2].close()
        for name in namespaces:
            until(lambda name=name: "VRRP_Script(lbminion) failed" in _log(tmp_path, name), name)
        # Now that the last minion is known to be dead, nothing is lost: each is somewhere, and nowhere twice.
        _until(namespaces, tmp_path, {}, but={vip: [] for vip in (web, mail, dns)})


@contextlib.contextmanager
def _running(text: str, directors: Callable[[list[str]], list[str]], folder: Path) -> Iterator[list[str]]:
    """Start keepalived on the three directors of a cluster; yields their namespaces."""
    namespaces = directors(["172.28.128.30", "172.28.128.40", "172.28.128.50"])
    with contextlib.ExitStack() as stack:
        for place, namespace in enumerate(namespaces):
            rendered = _render(text, f"netology{place + 3}", folder / f"fifo{place}")
            stack.enter_context(_keepalived(namespace, rendered, folder / namespace))
        yield namespaces


def _until(
    namespaces: list[str], folder: Path, want: dict[str, list[int]], but: dict[str, list[int]] | None = None
) -> dict[str, list[int]]:
    """Wait until the VIPs are where they shall be, and those of `but` at one other place; returns where all are."""

    def look() -> dict[str, list[int]] | None:
        held = {vip: _holders(namespaces, vip) for vip in (*want, *(but or {}))}
        moved = all(len(held[vip]) == 1 and held[vip] != where for vip, where in (but or {}).items())
        return held if moved and all(held[vip] == where for vip, where in want.items()) else None

    held = until(look, lambda: "\n".join(_log(folder, name) for name in namespaces), within=40)
    assert held is not None
    return held


def _log(folder: Path, namespace: str) -> str:
    """What keepalived said so far."""
    return (folder / namespace / "log").read_text()

"""The keepalived.conf that is rendered, judged by the real keepalived; skipped never: it must be installed here."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState
from lbstates.kinds.keepalived import Keepalived
from lbstates.resources import HostFacts, resources_for

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
OPTIONS = {
    "defaults": "",
    "unicast": "vrrp: {mode: unicast}",
    "fast": "vrrp: {advert_interval: 0.05}",
    "slow": "vrrp: {advert_interval: 40.95}",
    "password": "vrrp: {auth_pass: 'a1._:+-Z'}",
    "password and unicast": "vrrp: {auth_pass: secret12, mode: unicast, advert_interval: 3}",
    "interface": "vrrp: {interface: eth1}",
}


def _render(text: str, host: str, fifo: Path) -> str:
    state = compile_cluster(parse(text, "x"))["director"]
    assert isinstance(state, DirectorState)
    found = resources_for(state, host, HostFacts({state.hosts[host].address: "eth1"}, "2.2.7", str(fifo)))
    (keepalived,) = (resource for resource in found if isinstance(resource, Keepalived))
    return keepalived.config


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
@pytest.mark.pitfall("S3")
@pytest.mark.pitfall("S4")
@pytest.mark.pitfall("V11")
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
    return [i for i, name in enumerate(namespaces) if f" {vip}/" in _run("ip", "-n", name, "-4", "addr", "show")]


@pytest.mark.parametrize("options", ["mode: multicast", "mode: unicast", "auth_pass: secret12, advert_interval: 1"])
def test_rendered_files_elect_each_vips_home(
    options: str, directors: Callable[[list[str]], list[str]], tmp_path: Path
) -> None:
    """S5, S8, V1: three directors, three VIPs: each director is MASTER of its own, and nobody else is."""
    addresses = ["172.28.128.30", "172.28.128.40", "172.28.128.50"]
    namespaces = directors(addresses)
    vrrp = options if "advert_interval" in options else f"{options}, advert_interval: 0.3"
    want = {"172.28.128.200": [0], "172.28.128.201": [1], "172.28.129.200": [2]}
    with contextlib.ExitStack() as stack:
        for i, namespace in enumerate(namespaces):
            text = _render(f"{CLUSTER}vrrp: {{{vrrp}}}\n", f"netology{i + 3}", tmp_path / f"fifo{i}")
            stack.enter_context(_keepalived(namespace, text, tmp_path / namespace))
        deadline = time.monotonic() + 30
        held = {vip: _holders(namespaces, vip) for vip in want}
        while held != want and time.monotonic() < deadline:
            time.sleep(0.1)
            held = {vip: _holders(namespaces, vip) for vip in want}
        assert held == want, "\n".join((tmp_path / name / "log").read_text() for name in namespaces)

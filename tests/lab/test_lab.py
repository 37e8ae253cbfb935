"""The lab itself: that it comes up as the topology says, tells what is wrong, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from microvm import lab as labs
from microvm import network, paths
from microvm.errors import LabError
from microvm.lab import Lab
from microvm.process import Process
from microvm.topology import parse

LAB = paths.VAGRANT / "lab"
ONE_GUEST = """
network: 172.28.128.0/24
hosts:
  alone: {address: 172.28.128.10, roles: [client]}
"""


def command(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run vagrant/lab as a user does."""
    return subprocess.run([LAB, *words], input=stdin, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def two_labs() -> Iterator[tuple[Lab, Lab]]:
    """Two labs of one guest each, with the same addresses, brought up at the same time."""
    topology = parse(ONE_GUEST, "one guest")
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        names = [f"test-{os.getpid()}-{letter}" for letter in "ab"]
        starting = [pool.submit(Lab.up, topology, name=name, product=False) for name in names]
        first, second = [one.result() for one in starting]
        stack.callback(first.down)
        stack.callback(second.down)
        yield first, second


def test_two_labs_with_equal_addresses_do_not_meet(two_labs: tuple[Lab, Lab]) -> None:
    """A file written in one lab is not in the other, although the guests have one name and address."""
    first, second = two_labs
    first.run("alone", "echo first > /root/mark")
    assert second.run("alone", ["test", "-e", "/root/mark"], check=False).returncode == 1
    assert first.run("alone", "cat /root/mark").stdout == "first\n"


def test_taking_one_lab_down_leaves_no_trace_and_the_other_running(two_labs: tuple[Lab, Lab]) -> None:
    """No process, namespace or file of the lab is left; the other still answers."""
    other = two_labs[0]
    lab = Lab.up(other.topology, name=f"test-{os.getpid()}-gone", product=False)
    processes = [Process.of(pid) for pid in network.pids(lab.namespace)]
    assert processes
    assert lab.name in labs.names()
    lab.down()
    assert not any(process.alive() for process in processes)
    assert not network.exists(lab.namespace)
    assert not lab.directory.exists()
    assert not lab.guest("alone").disk.exists()
    assert lab.name not in labs.names()
    assert other.run("alone", "hostname").stdout == "alone\n"


def test_a_crashed_guest_keeps_its_disk(two_labs: tuple[Lab, Lab]) -> None:
    """What was synced before the power went is there after the next boot; while it is off, that is said."""
    lab, _ = two_labs
    lab.run("alone", "echo kept > /root/mark; sync")
    lab.crash("alone")
    with pytest.raises(LabError, match="alone is not running"):
        lab.run("alone", "true")
    lab.boot("alone")
    assert lab.run("alone", "cat /root/mark").stdout == "kept\n"


def test_run_passes_input_output_and_exit_code(two_labs: tuple[Lab, Lab]) -> None:
    """`lab run` behaves like the command that it runs."""
    name = two_labs[0].name
    done = command("--name", name, "run", "alone", "cat; echo wrong >&2; exit 7", stdin="through\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, "through\n", "wrong\n")
    assert command("--name", name, "run", "alone", "echo", "a  b", "$HOME").stdout == "a  b $HOME\n"


def test_commands_that_fail_or_hang_say_so(two_labs: tuple[Lab, Lab]) -> None:
    """A checked command raises with its output; one that hangs ends with the time limit."""
    lab, _ = two_labs
    with pytest.raises(LabError, match=r"(?s)alone: 'echo why >&2; false' ended with code 1.*why"):
        lab.run("alone", "echo why >&2; false")
    with pytest.raises(LabError, match=r"did not end within 1 s"):
        lab.run("alone", "sleep 60", timeout=1)


def test_bringing_a_lab_up_twice_is_refused(two_labs: tuple[Lab, Lab]) -> None:
    """The second `up` of a name names the way out and touches nothing."""
    lab, _ = two_labs
    with pytest.raises(LabError, match=r"is up already: `lab down` it first"):
        Lab.up(lab.topology, name=lab.name, product=False)
    assert lab.run("alone", "true").returncode == 0


def test_a_guest_that_cannot_boot_is_reported_and_cleaned_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the guest and its console's log, which is kept; nothing else is."""
    monkeypatch.setattr(labs, "BOOT_SECONDS", 0.5)
    name = f"test-{os.getpid()}-c"
    with pytest.raises(LabError, match=r"(?s)alone did not let us in.*console log") as caught:
        Lab.up(parse(ONE_GUEST, "one guest"), name=name, product=False)
    kept = paths.cache() / f"consoles-{name}"
    assert caught.value.__notes__ == [f"the consoles of all guests are kept in {kept}"]
    assert (kept / "alone.log").exists()
    shutil.rmtree(kept)
    assert not network.exists(network.namespace_of(name))
    assert not paths.run_directory(name).exists()


def test_status_of_a_lab_that_is_not_up_is_an_error() -> None:
    """Commands on a lab that is not there name what brings it up."""
    done = command("--name", "nobody", "run", "netology1", "true")
    assert done.returncode == 1
    assert "no lab 'nobody' is up; `lab up` brings it up" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hosts: [", "not valid YAML"),
        ("[]", "must be a mapping"),
        ("network: 172.28.128.0/24", "hosts: must map at least one host name"),
        ("network: nonsense\nhosts: {a: {}}", "'nonsense' is not an IPv4 network"),
        ("network: 10.0.0.0/30\nhosts: {a: {}}", "too small"),
        ("network: 10.0.0.0/24\nhosts: {a: {address: 10.0.1.2, roles: [client]}}", "not a host address of the network"),
        ("network: 10.0.0.0/24\nhosts: {a: {address: 10.0.0.1, roles: [client]}}", "belongs to the bridge"),
        ("network: 10.0.0.0/24\nhosts: {a: {address: 1, roles: [client]}}", "'1' is not an IPv4|1 is not an IPv4"),
        ("network: 10.0.0.0/24\nhosts: {a: {address: 10.0.0.2, roles: [king]}}", "must be a list of at least one of"),
        ("network: 10.0.0.0/24\nhosts: {a: {address: 10.0.0.2, roles: [client], memory: 1}}", "hosts.a.memory: 1 must"),
        ("network: 10.0.0.0/24\nhosts: {a: {address: 10.0.0.2, roles: [client], cpu: 1}}", "hosts.a.cpu: unknown key"),
        ("network: 10.0.0.0/24\nhosts: {A_: {address: 10.0.0.2, roles: [client]}}", "a host name is"),
        (
            "network: 10.0.0.0/24\nhosts: {a: {address: 10.0.0.2, roles: [client]}, b: {address: 10.0.0.2, roles: [client]}}",
            r"hosts.b.address: 10.0.0.2 belongs to a already",
        ),
    ],
)
def test_a_bad_topology_names_the_place_and_what_would_be_right(text: str, message: str) -> None:
    """Every kind of mistake in a topology file has its message."""
    with pytest.raises(LabError, match=message):
        parse(text, "lab.yaml")


def test_a_bad_topology_file_stops_the_command_before_anything_is_made(tmp_path: Path) -> None:
    """All mistakes of the file are listed at once, with the file's name; no lab is left."""
    file = tmp_path / "bad.yaml"
    file.write_text("network: 10.0.0.0/24\nhosts: {a: {roles: []}, b: 1}\n")
    done = command("--name", "bad", "up", str(file))
    assert done.returncode == 1
    assert f"{file}: hosts.a.address" in done.stderr
    assert f"{file}: hosts.b: must be a mapping" in done.stderr
    assert not paths.run_directory("bad").exists()


def test_the_hosts_are_what_their_roles_say(lab: Lab) -> None:
    """Real servers answer with their name, directors have IPVS and an idle keepalived, the product is installed."""
    for host in lab.topology.hosts:
        assert lab.run(host.name, "systemctl is-system-running").stdout == "running\n"
        if "realserver" in host.roles:
            assert lab.run("netology5", ["curl", "-s", f"http://{host.address}/"]).stdout == f"{host.name}\n"
        if "director" in host.roles:
            assert "IP Virtual Server" in lab.run(host.name, "ipvsadm -Ln").stdout
            states = lab.run(host.name, "systemctl is-enabled keepalived; systemctl is-active keepalived", check=False)
            assert states.stdout.split() == ["enabled", "inactive"]
        for extra, program in (("minion", "lbminion"), ("master", "lbmaster")):
            found = lab.run(host.name, ["test", "-x", f"/usr/local/bin/{program}"], check=False).returncode == 0
            assert found == (extra in host.extras)

"""What keeps a minion or a director from working says so in a line: which object, what is wrong, the way out."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.bench.director import kernel_has_ipvs

from .place import VIP, Host, Place

# Coverage of a process that may not write its data file would add words of its own to what the process says.
UNMEASURED = ("env", "--unset=COVERAGE_PROCESS_CONFIG", "--unset=COVERAGE_PROCESS_START")
NOBODY = (*UNMEASURED, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def fails(host: Host, *before: str) -> str:
    """Start the minion, and return the only line that it prints before it ends with an error."""
    host.start(*before, online=False)
    code = host.ended()
    lines = host.log.splitlines()
    assert code in (1, 2), host.log
    assert "Traceback" not in host.log
    assert len(lines) == 1, host.log
    return lines[0]


def garble(path: Path, content: bytes = b"not what it was" * 300) -> None:
    path.write_bytes(content)


def another_schema(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda host: host.config.unlink(), ("minion.toml is not there", "run `lbminion join`")),
        (lambda host: garble(host.config), ("minion.toml is not TOML",)),
        (lambda host: host.config.unlink() or host.config.mkdir(),
            ("cannot read", "minion.toml")),
        (lambda host: host.configure(colour="red"), ("minion.toml", "colour")),
        (lambda host: host.configure(sample_interval=-1), ("minion.toml", "sample_interval")),
        (lambda host: host.configure(log_level="loud"), ("minion.toml", "log_level")),
        (lambda host: host.configure(runtime_directory="/proc/lbminion"), ("/proc/lbminion", "runtime_directory")),
        (lambda host: host.configure(state_directory="/proc/lbminion"), ("/proc/lbminion", "state_directory")),
        (lambda host: host.configure(state_directory=str(host.config)), ("minion.toml", "state_directory")),
        (lambda host: garble(host.state / "minion.sqlite"), ("minion.sqlite", "not a database")),
        (lambda host: another_schema(host.state / "minion.sqlite"), ("minion.sqlite", "newer release", "upgrade")),
        (lambda host: garble(host.state / "curve.key"), ("curve.key holds no CURVE key", "move it away")),
    ],
    ids=["no config", "garbled config", "unreadable config", "unknown setting", "bad interval", "bad level",
         "runtime directory", "state directory", "state is a file", "garbled database", "newer database", "garbled key"],
)  # fmt: skip
def test_what_is_spoilt_is_named(place: Place, joined: Host, spoil: Callable[[Host], object], says: tuple[str]) -> None:
    """One line, no traceback, an exit code that is not 0; and nothing is repaired by overwriting it."""
    joined.start()
    joined.stop()
    spoil(joined)
    said = fails(joined)
    for part in says:
        assert part in said


@pytest.mark.parametrize("setting", ["state_directory", "runtime_directory"])
def test_a_directory_that_nothing_can_be_written_to_is_named_with_its_setting(joined: Host, setting: str) -> None:
    """It is there, and root may read it: only the file system says no."""
    (joined.folder / "ro").mkdir()
    joined.configure(**{setting: str(joined.folder / "ro")})
    mount = f"mount -t tmpfs -o ro none {joined.folder / 'ro'}"
    said = fails(joined, "unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh")
    assert str(joined.folder / "ro") in said
    assert "Read-only file system" in said
    assert setting in said


def test_a_runtime_directory_that_fills_up_ends_nothing(place: Place, server: Host) -> None:
    """The status cannot be written any more, which is said once; the VIP is guarded as before."""
    server.stop()
    small = server.folder / "small"
    small.mkdir()
    server.configure(runtime_directory=str(small))
    mount = f"mount -t tmpfs -o size=4k,nr_inodes=20 none {small}"
    fill = f"cat /dev/zero >{small}/full 2>/dev/null"
    server.start("unshare", "--mount", "sh", "-c", f'{mount}; {fill}; exec "$@"', "sh", online=False)
    server.until(lambda: "cannot write" in server.log, "that is said")
    since = place.cursor()
    server.ip("address", "del", f"{VIP}/32", "dev", "lo")
    server.event("drift.healed", since)
    assert server.log.count("cannot write") == 1
    assert server.on_lo() == {f"{VIP}/32"}


def test_without_rights_to_its_directories_the_minion_does_not_start(joined: Host) -> None:
    """As another user it cannot read the keys: which file, and what to do."""
    said = fails(joined, *NOBODY)
    assert str(joined.folder) in said
    assert "ermission" in said
    assert "root" in said


def test_without_network_rights_a_push_is_refused_with_the_way_out(place: Place, joined: Host) -> None:
    """Its own directories do not help: the kernel wants CAP_NET_ADMIN, and the journal says so."""
    for path in (joined.folder, *joined.folder.rglob("*")):
        os.chown(path, 65534, 65534)
    _let_pass(joined.folder)
    joined.configure(runtime_directory=str(joined.folder / "r"))
    joined.start(*NOBODY)
    answer = place.ask(
        "push", text=place.cluster_file(joined), timeout=20, options={"below_floor": True, "rollback": False}
    )
    assert answer["outcome"] == "failed"
    problem = answer["hosts"][joined.name]["problem"]
    assert "EPERM" in problem or "EACCES" in problem
    assert "run as root or with CAP_NET_ADMIN" in problem
    assert joined.on_lo() == set()


def _let_pass(folder: Path) -> None:
    """Let others pass through the directories above, which pytest made private."""
    for parent in folder.parents:
        if parent.owner() == "root" and parent.is_relative_to("/tmp/pytest-of-root"):
            parent.chmod(parent.stat().st_mode | 0o011)


def test_a_director_without_keepalived_refuses_with_the_way_out(place: Place, server: Host) -> None:
    """Already when it is asked to stage, so nothing is applied anywhere."""
    director = place.hosts["d1"]
    director.mount("--bind", "/dev/null", "/usr/sbin/keepalived")
    try:
        text = place.cluster_file(server, vips={"www": VIP, "new": "10.99.250.2"})
        pushed = _push(place, text)
    finally:
        director.unmount("/usr/sbin/keepalived")
    assert pushed.returncode == 1
    assert "keepalived is not installed" in pushed.stdout
    assert "apt-get install keepalived" in pushed.stdout
    assert server.on_lo() == {f"{VIP}/32"}
    place.push_with(server)


def _push(place: Place, text: str) -> subprocess.CompletedProcess[str]:
    file = place.folder / "web.yaml"
    file.write_text(text)
    return place.lbmaster("push", "--timeout", "20s", "--below-floor", file)


def test_a_director_on_a_kernel_without_ipvs_refuses_with_the_way_out(place: Place, server: Host) -> None:
    """Nothing stands in for the kernel here; where it has IPVS, the same push converges."""
    director = place.host("real-d2")
    director.join()
    director.start()
    other = place.cluster_file(server, vips={"new": "10.99.250.2"}, director="real-d2")
    pushed = _push(place, other)
    if kernel_has_ipvs():
        assert pushed.returncode == 0, pushed.stdout
        return
    assert pushed.returncode == 1
    assert "real-d2" in pushed.stdout
    said = " ".join(pushed.stdout.split())
    assert "stage: module ip_vs" in said
    assert "see whether `modprobe ip_vs` works" in said
    refused = place.events("state.refused")[-1]
    assert (refused["minion"], refused["data"]["phase"]) == ("real-d2", "stage")
    assert server.on_lo() == {f"{VIP}/32"}

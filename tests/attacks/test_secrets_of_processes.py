"""Secrets stay where they belong: in no log at any level, no event, error or output, and in no file that others can read.

Real processes, each with a umask that hides nothing, so that a file is private only where the product says so.
"""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from benchmarks.bench.network import Network
from benchmarks.bench.processes import Processes

from lbmaster import identity
from lbservice.files import write_atomically
from lbservice.keys import CurvePair
from tests.netns.cluster.place import BIN, SECONDS, VIP, Host, Place, RequestRefused, until

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(300)]

PASSWORD, LATER, WRONG = "Zq7.pass", "Zq8.pass", "Zq9.password"
ALONE = f"vrrp:\n  auth_pass:\n    {LATER}"
BAD_FILES = (
    'vrrp: {{auth_pass: "{0}}}', "vrrp: {{auth_pass: [{0}]}}", "vrrp: {{auth_pass: {{a: {0}}}}}", "vrrp:\n  auth_pass: {0}\n  bad",
    "vrrp: {{auth_pass: '{0};'}}", "vrrp: {{auth_pass: {0}toolong}}", "vrrp: {{auth_pass: {0}, version: 3}}",
    "vrrp: {{auth_pass: {0}\n]", "vrrp: {{auth_pass: !!int {0}}}", "vrrp: {{auth_pass: *{0}}}", "vrrp: {{auth_pass: !{0} x}}", "vrrp: {{auth_pass: 84930217}}",
    "vrrp: {{auth_pas: {0}}}", "instances: {{www: {{auth_pass: ['{0}']}}}}", "vrrp: {{auth_pass: {0}, auth_pass: {0}}}",
)  # fmt: skip


@dataclass
class Scene:
    """The place, the secrets in it by name, and all that commands have printed."""

    place: Place
    host: Host
    secrets: dict[str, bytes] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    def run(self, name: str, done: subprocess.CompletedProcess[str]) -> str:
        """Keep what a command printed."""
        self.said[name] = self.said.get(name, "") + done.stdout + done.stderr
        return done.stdout

    def lbmaster(self, *words: object, text: str = "") -> str:
        """Run a command of `lbmaster`, whatever comes of it."""
        command = [str(BIN / "lbmaster"), "--config", str(self.place.config), *map(str, words)]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
        return self.run(" ".join(map(str, words)), done)

    def file(self, vrrp: str) -> str:
        """A cluster file of one director that ends with these words."""
        return f"cluster: web\ndirectors: {{d1: {self.host.address}}}\nvips: {{www: {VIP}/16}}\n{vrrp}\n"

    def found_in(self, raw: bytes) -> list[str]:
        """Name the secrets that stand in some bytes, in any of the ways in which they are written."""
        return [name for name, secret in self.secrets.items() if any(form in raw for form in forms(secret))]


def forms(secret: bytes) -> set[bytes]:
    """Write a secret as it is, in hexadecimal and in base 64."""
    return {
        secret,
        secret.hex().encode(),
        base64.b64encode(secret).rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
    }


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A master and a director at level debug, which have done everything once that secrets have to do with."""
    folder = tmp_path_factory.mktemp("secrets")
    before = os.umask(0)
    try:
        with Network() as network, Processes(folder) as processes:
            place = Place(folder, network, processes)
            place.stop_master()
            master = Network.within(
                network.master, BIN / "lbmaster", "--config", place.config, "serve", "--log-level", "debug"
            )
            process = processes.start("debug", [*master])
            until(place.answers, "the master answers", SECONDS)
            scene = Scene(place, place.host("d1"))
            try:
                act(scene)
                yield scene
            finally:
                scene.host.end()
                processes.end([process])
    finally:
        os.umask(before)


def act(scene: Scene) -> None:
    """Join, push, fail, look at everything there is to look at."""
    place, host = scene.place, scene.host
    token = scene.lbmaster("keys", "token", "--ttl", "10m").split()[-1]
    scene.said.clear()  # that is the one place where it has to be shown
    scene.secrets["token"] = token.encode()
    scene.run("join", host.lbminion(*host.joining("--token", "wrong" + token)))
    scene.run("join", host.lbminion(*host.joining("--token", token)))
    scene.run("join", host.lbminion(*host.joining("--token", token)))
    host.configure(keepalived_manager="child", reconcile_interval=3600, log_level="debug")
    host.start()
    scene.secrets |= {
        "password": PASSWORD.encode(),
        "later password": LATER.encode(),
        "wrong password": WRONG.encode(),
        "number": b"84930217",
    }
    state = place.folder / "state"
    scene.secrets["master's signing key"] = identity.signing_path(state).read_bytes()
    scene.secrets["master's transport key"] = identity.curve_path(state).read_bytes().strip()
    (curve,) = host.state.rglob("*.key")
    scene.secrets["minion's key"] = curve.read_bytes().strip()

    good = [scene.file(f"vrrp: {{auth_pass: {password}}}") for password in (PASSWORD, LATER)] + [scene.file(ALONE)]
    bad = [scene.file(form.format(PASSWORD)) for form in BAD_FILES]
    bad += [scene.file(f"vrrp: {{auth_pass: {WRONG}}}")]
    for text in good:
        for words in ("check -", "plan -", "plan --json -", "show placement -", "push -"):
            scene.lbmaster(*words.split(), text=text)
    for text in bad:
        scene.lbmaster("check", "--json", "-", text=text)
        with pytest.raises(RequestRefused) as refused:
            scene.place.ask("push", text=text, file="bad.yaml", by="test")
        scene.said["push: refused"] = scene.said.get("push: refused", "") + f"{refused.value} {vars(refused.value)}"
    status = json.loads(scene.lbmaster("status", "--json"))
    assert "web" in status["clusters"], scene.said
    assert status["clusters"]["web"]["generation"] >= 2, scene.said
    (host.folder / "keepalived.conf").write_text("# damaged\n")
    for words in (
        "status", "status --json web", "doctor", "doctor --json", "history web", "history --json web", "diff 1 2",
        "diff --json 1 2", "diff 2 3", "rollback 1", "reconcile web", "events --since 0", "events --since 0 --json", "keys list",
        "keys list --json", "stats --json", "show --host d1 -", "rollout status --json",
    ):  # fmt: skip
        scene.lbmaster(*words.split(), text=good[1] if words.endswith(" -") else "")
    for words in ("status", "status --json", "doctor", "plan"):
        scene.run(f"lbminion {words}", host.lbminion(*words.split()))


def test_commands_print_no_secret(scene: Scene) -> None:
    """Neither in good answers nor in errors; `diff` says that a password was changed, and shows neither."""
    found = {name: scene.found_in(said.encode()) for name, said in scene.said.items()}
    assert {name: secrets for name, secrets in found.items() if secrets} == {}
    assert "auth_pass" in scene.said["diff 1 2"]
    assert not [name for name, said in scene.said.items() if "Usage:" in said]


def test_logs_at_level_debug_hold_no_secret(scene: Scene) -> None:
    """The master's, the minion's, and that of the keepalived which it started."""
    logs = {file: scene.found_in(file.read_bytes()) for file in scene.place.folder.rglob("*.log")}
    assert len(logs) >= 3
    assert not any(logs.values()), logs
    assert "DEBUG" in (scene.place.folder / "debug.log").read_text()


def test_the_journal_and_the_spool_hold_no_secret(scene: Scene) -> None:
    """What subscribers get was never told."""
    events = scene.place.events()
    assert events
    assert scene.found_in(json.dumps(events).encode()) == []


def test_no_file_with_a_secret_is_readable_for_others(scene: Scene) -> None:
    """With a umask of 0. Sockets and FIFOs are not open to everybody either, and nobody else can write anywhere."""
    own = [scene.place.folder / "state", scene.place.folder / "run", scene.host.state, scene.host.runtime]
    with_secrets, open_to_others = set(), {}
    for file in (scene.host.folder / "keepalived.conf", *(file for folder in own for file in folder.rglob("*"))):
        status = file.lstat()
        if stat.S_ISLNK(status.st_mode):
            continue
        mode = stat.S_IMODE(status.st_mode)
        # The events socket is a group's, by the operator's word; connecting to a socket needs the right to write.
        if mode & (0o007 if stat.S_ISSOCK(status.st_mode) else 0o022):
            open_to_others[file] = oct(mode)
        if not stat.S_ISREG(status.st_mode):
            continue
        if scene.found_in(file.read_bytes()):
            with_secrets.add(file)
            if mode & 0o077:
                open_to_others[file] = oct(mode)
    assert open_to_others == {}
    assert {file.name for file in with_secrets} >= {"signing.key", "keepalived.conf"}


def test_no_temporary_file_is_left(scene: Scene) -> None:
    """Of replacing files, and of keepalived's test of a configuration."""
    left = [file for file in scene.place.folder.rglob("*") if file.name.startswith((".", "keepalived-test"))]
    assert left == []


def test_a_file_is_private_from_its_first_moment_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its final rights and the umask: nobody else can open it before it is whole."""
    seen: list[int] = []
    real = os.fdopen

    def opened(descriptor: int, mode: str) -> object:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return real(descriptor, mode)

    monkeypatch.setattr("lbservice.files.os.fdopen", opened)
    before = os.umask(0)
    try:
        write_atomically(tmp_path / "file", b"secret", mode=0o644)
    finally:
        os.umask(before)
    assert seen == [0o600]


def test_a_link_that_is_planted_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Where a file of ours is written, a link to somebody else's file is no way to it."""
    victim, link = tmp_path / "victim", tmp_path / "file"
    victim.write_text("theirs")
    link.symlink_to(victim)
    write_atomically(link, b"ours")
    assert (victim.read_text(), link.read_text(), link.is_symlink()) == ("theirs", "ours", False)


def test_a_key_does_not_print_its_secret_half() -> None:
    """In a traceback or a log it would be for good."""
    assert "SECRET" not in repr(CurvePair(b"public", b"SECRET"))

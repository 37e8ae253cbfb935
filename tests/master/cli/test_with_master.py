"""The command line against the real service: both sides speak the same protocol."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.master.cli import examples


class Installation:
    """A master's directories, its configuration, and its commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "master.toml"
        directories = ("--state-dir", str(folder / "state"), "--runtime-dir", str(folder / "run"))
        assert self.run("init", "--listen", "127.0.0.1", *directories).returncode == 0
        text = self.config.read_text()
        for port in ("broadcast_port", "uplink_port", "join_port"):
            text = "\n".join(f"{port} = 0" if port in line else line for line in text.splitlines())
        self.config.write_text(text)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "lbmaster", "--config", str(self.config), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, check=False)

    @contextmanager
    def serving(self, end: signal.Signals) -> Iterator[None]:
        """Run the service, and end it by this signal."""
        with subprocess.Popen(self.command("serve"), stderr=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + 30
                while self.run("status").returncode != 0:
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                yield
            finally:
                process.send_signal(end)
                process.wait(30)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def test_before_the_first_push_and_after_a_kill(installation: Installation) -> None:
    """Commands answer, and say what is missing; after kill -9 they say that nobody listens, and a restart works."""
    file = installation.folder / "cluster.yaml"
    file.write_text(examples.CLUSTER_FILE)
    wrong = installation.folder / "wrong.yaml"
    wrong.write_text(examples.CLUSTER_FILE.replace("port: 80", "port: 99999"))

    with installation.serving(signal.SIGKILL):
        assert installation.run("keys", "list").stdout.startswith("NAME\tSTATE\t")
        assert len(installation.run("keys", "token").stdout.strip()) > 20
        assert json.loads(installation.run("stats", "--json").stdout) == {"clusters": {}}
        assert installation.run("events", "--since", "0").returncode == 0
        for verb in ("plan", "push"):
            refused = installation.run(verb, str(file))
            assert (refused.returncode, "lbminion join" in refused.stderr) == (1, True)
            bad = installation.run(verb, str(wrong))
            assert (bad.returncode, f"{wrong}:12: error: services[0].port: " in bad.stderr) == (2, True)
        for nobody in (("status", "nope"), ("reconcile", "nope"), ("keys", "accept", "nope")):
            refused = installation.run(*nobody)
            assert (refused.returncode, "nope" in refused.stderr) == (1, True)

    left = installation.run("status")
    assert (left.returncode, "nobody listens there" in left.stderr) == (3, True)
    with installation.serving(signal.SIGTERM):
        assert installation.run("status").returncode == 0
    assert "there is no such socket" in installation.run("status").stderr


def test_a_second_master_says_that_there_is_one(installation: Installation) -> None:
    """Exit code 1, and the socket is named."""
    with installation.serving(signal.SIGTERM):
        second = installation.run("serve")

    assert second.returncode == 1
    assert "another master" in second.stderr

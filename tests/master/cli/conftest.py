from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.master.cli.scripted import Master

from lbmaster.cli.main import main

Run = Callable[..., Result]


@pytest.fixture
def scripted(tmp_path: Path) -> Master:
    """A master that does not run yet."""
    return Master(tmp_path)


@pytest.fixture
def master(scripted: Master) -> Iterator[Master]:
    """A running master."""
    with scripted.running():
        yield scripted


@pytest.fixture
def run(scripted: Master) -> Run:
    """Run lbmaster in a pipe, against the scripted master."""

    def run(*arguments: str, text: str | bytes | None = None) -> Result:
        return CliRunner().invoke(main, ["--socket", str(scripted.socket), *arguments], input=text)

    return run


class Terminal:
    """lbmaster as a process on a terminal of its own."""

    def __init__(self, command: list[str], width: int) -> None:
        self.leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            command, stdin=follower, stdout=follower, stderr=follower, env=environment, start_new_session=True
        )
        os.close(follower)
        self.output = ""

    def read_until(self, text: str) -> str:
        """Wait until the text has appeared; fails when the process ends before."""
        deadline = time.monotonic() + 20
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            try:
                self.output += os.read(self.leader, 65536).decode()
            except OSError:
                raise AssertionError(f"{text!r} never appeared in {self.output!r}") from None
        return self.output

    def finish(self) -> int:
        """Read until the process ends; returns its exit code."""
        while True:
            try:
                more = os.read(self.leader, 65536)
            except OSError:
                break
            if not more:
                break
            self.output += more.decode()
        return self.process.wait(20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.leader)


@pytest.fixture
def terminal(scripted: Master) -> Iterator[Callable[..., Terminal]]:
    """Start lbmaster on a terminal, against the scripted master."""
    started: list[Terminal] = []

    def start(*arguments: str, width: int = 160) -> Terminal:
        command = [sys.executable, "-m", "lbmaster", "--socket", str(scripted.socket), *arguments]
        started.append(Terminal(command, width))
        return started[-1]

    yield start
    for one in started:
        one.close()

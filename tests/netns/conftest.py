"""Real network namespaces for the tests below: made with a random name, and removed whatever happens."""

from __future__ import annotations

import concurrent.futures
import ctypes
import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from .keepalived_minion import Minion
from .keepalived_pair import Node, pair

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace with `lo` up. `run` calls a function inside it, `ip` runs the `ip` command there."""

    def __init__(self) -> None:
        self.name = f"lbtest-{secrets.token_hex(4)}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        try:
            self._thread = concurrent.futures.ThreadPoolExecutor(max_workers=1, initializer=self._enter)
            self.ip("link", "set", "lo", "up")
        except BaseException:
            self.remove()
            raise

    def _enter(self) -> None:
        descriptor = os.open(Path("/run/netns") / self.name, os.O_RDONLY)
        try:
            if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"setns to {self.name}")
        finally:
            os.close(descriptor)

    def run(self, function: Callable[..., T], *arguments: object, timeout: float = 30) -> T:
        """Call `function` in a thread that lives in the namespace; always the same thread."""
        return self._thread.submit(function, *arguments).result(timeout)

    def ip(self, *arguments: str) -> str:
        """Run `ip ARGUMENTS...` in the namespace and return what it prints."""
        command = ["ip", "-n", self.name, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    def remove(self) -> None:
        """End the thread and delete the namespace."""
        self._thread.shutdown()
        subprocess.run(["ip", "netns", "del", self.name], check=True)


@pytest.fixture
def netns() -> Iterator[Namespace]:
    """A fresh network namespace of this test alone."""
    namespace = Namespace()
    yield namespace
    namespace.remove()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    """Two directors on one wire; the test stands on the first."""
    with pair(tmp_path) as both:
        yield both


@pytest.fixture
async def minion(nodes: tuple[Node, Node]) -> AsyncIterator[Minion]:
    """The minion of the first of them."""
    minion = Minion(nodes[0])
    await minion.control.open()
    yield minion
    minion.control.close()

"""What the tests in the guest share: the modules, an empty table, and `ipvsadm` as the reader that is not ours."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from tests.uml.inside import modules

from lbminion.netlink.ipvs import Ipvs

MODULES = ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_wlc", "ip_vs_sh", "dummy")


def run(*command: str) -> str:
    """Run a command of the guest and return what it prints."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def saved() -> list[str]:
    """The table as `ipvsadm -Sn` says it, sorted."""
    return sorted(line.strip() for line in run("ipvsadm", "-Sn").splitlines())


@pytest.fixture(scope="session")
def loaded() -> None:
    """IPVS and the schedulers that the tests use, in the kernel from here on."""
    modules.load(*MODULES)


@pytest.fixture
def ipvs(loaded: None) -> Iterator[Ipvs]:
    """The guest's table, empty."""
    run("ipvsadm", "-C")
    with Ipvs() as opened:
        yield opened
    run("ipvsadm", "-C")

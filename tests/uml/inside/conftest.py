"""What the tests in the guest share: the modules, an empty table, and `ipvsadm` as the reader that is not ours."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.uml.inside import modules

from lbminion.netlink.ipvs import Ipvs
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service
from lbstates.plan import Change, Verb

MODULES = ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_wlc", "ip_vs_sh", "ip_vs_mh", "ip_vs_pe_sip", "dummy")


def run(*command: str) -> str:
    """Run a command of the guest and return what it prints."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def saved() -> list[str]:
    """The table as `ipvsadm -Sn` says it, sorted."""
    return sorted(line.strip() for line in run("ipvsadm", "-Sn").splitlines())


def change(verb: Verb, thing: Service | Destination) -> Change:
    """A step of a plan that adds, sets or removes a service or a destination."""
    kind = "service" if isinstance(thing, Service) else "destination"
    before, after = (thing, None) if verb == "remove" else (None, thing)
    return Change(kind, verb, thing.identity, before=before, after=after)


def put(ipvs: Ipvs, verb: Verb, *things: Service | Destination) -> None:
    """Add, set or remove services and destinations, all without complaint."""
    assert ipvs.apply([change(verb, thing) for thing in things]) == []


def altered(thing: Any, **fields: object) -> Any:
    """The same thing with other values in some fields."""
    return msgspec.structs.replace(thing, **fields)


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

"""keepalived_steps: what to load on the way from one of our files to another. That keepalived agrees: tests/netns."""

from __future__ import annotations

import re

import pytest

from lbstates.desired import DirectorState, Host
from lbstates.facts import HostFacts
from lbstates.keepalived_conf import render, vips
from lbstates.keepalived_steps import reload_steps
from lbstates.kinds.keepalived import MARKER
from lbstates.vrrp import Vip, VrrpInstance

FACTS = HostFacts(
    {"10.0.0.1": "eth1"},
    "2.2.7",
    "/run/fifo",
    "/run/lock",
    mtus={"eth1": 1500, "eth2": 1500},
    adjustments="/var/lib/adjustments",
)


def _text(*instances: str, group: str | None = None, first: bool = False) -> str:
    """Render instances written as "name:1,2", with the last octets of their VIPs."""
    found = []
    for number, text in enumerate(instances, 1):
        name, _, octets = text.partition(":")
        addresses = tuple(Vip(f"10.0.0.{octet}/24") for octet in octets.split(","))
        found.append(VrrpInstance(name, number, addresses, {"d1": 250}, sync_group=group, advertise_first=first))
    return render(DirectorState("c", {"d1": Host("10.0.0.1")}, tuple(found), ()), "d1", FACTS)


def _vips(text: str) -> dict[str, list[str]]:
    return {
        name: [vip.address.rpartition(".")[2].removesuffix("/24") for vip in found]
        for name, found in vips(text).items()
    }


@pytest.mark.parametrize("new", ["a:1,2 b:3", "a:1,2", "a:1,2 b:3,4", "a:1 b:3", "a:1,2 b:3 c:4"])
def test_what_appears_or_disappears_needs_one_step(new: str) -> None:
    """VIPs and whole instances alike."""
    text = _text(*new.split())
    assert reload_steps(_text("a:1,2", "b:3"), text) == (text,)


@pytest.mark.pitfall("V16")
def test_v16_a_vip_that_changes_its_instance_is_let_go_first() -> None:
    """Everything else is as it shall be at once."""
    new = _text("a:1,5", "b:2,3", "d:4")
    first, last = reload_steps(_text("a:1,2", "b:3"), new)
    assert last == new
    assert _vips(first) == {"a": ["1", "5"], "b": ["3"], "d": ["4"]}
    assert first.startswith(MARKER)


def test_an_instance_that_would_be_empty_waits_for_the_second_step() -> None:
    """keepalived refuses one without VIPs."""
    first, last = reload_steps(_text("a:1,2", "b:3"), _text("a:1", "b:2"))
    assert _vips(first) == {"a": ["1"]}
    assert _vips(last) == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("new", ["a:1 c:2", "c:1 d:2"])
def test_an_instance_that_is_new_takes_over_in_one_step(new: str) -> None:
    """Its election takes longer than the reload."""
    text = _text(*new.split())
    assert reload_steps(_text("a:1", "b:2"), text) == (text,)


def test_two_instances_that_swap_their_vips_let_both_go() -> None:
    first, last = reload_steps(_text("a:1,3", "b:2,4"), _text("a:2,3", "b:1,4"))
    assert _vips(first) == {"a": ["3"], "b": ["4"]}
    assert _vips(last) == {"a": ["2", "3"], "b": ["1", "4"]}


def test_where_all_vips_move_the_first_instance_stays_as_it_was() -> None:
    """keepalived answers no question about a file without instances."""
    first, last = reload_steps(_text("a:1", "b:2", "c:3"), _text("a:3", "b:1", "c:2"))
    assert _vips(first) == {"a": ["1"]}
    assert _vips(last) == {"a": ["3"], "b": ["1"], "c": ["2"]}


def test_a_sync_group_loses_the_instances_that_wait() -> None:
    """And is none when less than two remain."""
    new = _text("a:1", "b:2", "c:3", group="all")
    first, _ = reload_steps(_text("a:1", "b:2,3", "c:4", group="all"), new)
    assert _block(first, "group") == ["a", "b"]
    assert "vrrp_instance c" not in first
    first, _ = reload_steps(_text("a:1,2", "b:3"), _text("a:1", "b:2", group="all"))
    assert "vrrp_sync_group" not in first


def test_a_file_of_somebody_else_is_replaced_in_one_step() -> None:
    new = _text("a:1", "b:2")
    assert reload_steps("vrrp_instance x {\n}\n", new) == (new,)
    assert reload_steps("", new) == (new,)


def test_giving_a_file_back_is_one_step() -> None:
    """The last text is never changed."""
    assert reload_steps(_text("a:1"), "") == ("",)


def _block(text: str, head: str) -> list[str]:
    return text.partition(f"{head} {{\n")[2].partition("}")[0].split()


@pytest.mark.pitfall("V4")
@pytest.mark.parametrize(
    ("old", "new", "between", "advertised"),
    [
        (("web:1,2,3", "mail:4"), ("web:1,3", "mail:4,2"), {"web": ["1", "3"], "mail": ["4"]}, {"1", "4"}),
        (("web:1,2", "mail:4"), ("web:1", "mail:4,2"), {"web": ["1"], "mail": ["4"]}, {"1", "4"}),
        (("web:1,2,3", "mail:4,5"), ("web:2,3", "mail:1,4,5"), {"web": ["2", "3"], "mail": ["4", "5"]}, {"2", "4"}),
        (("web:1,2", "mail:4,5"), ("web:2", "mail:1,4"), {"web": ["2"], "mail": ["4"]}, {"2", "4"}),
    ],
)
def test_an_instance_always_advertises_one_vip(
    old: tuple[str, ...], new: tuple[str, ...], between: dict[str, list[str]], advertised: set[str]
) -> None:
    """Also between, where the one that it had is taken out; and there is no empty block."""
    step, last = reload_steps(_text(*old, first=True), _text(*new, first=True))
    assert last == _text(*new, first=True)
    assert _vips(step) == between
    assert set(re.findall(r"virtual_ipaddress \{\n\s+10\.0\.0\.(\d)/24 dev eth1\n    \}", step)) == advertised
    assert "{\n    }" not in step

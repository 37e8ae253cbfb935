"""plan: what a diff promises, for arbitrary hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbstates.kinds.address import Address
from lbstates.kinds.destination import Destination
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.kind import Resource
from lbstates.kinds.registry import KINDS
from lbstates.kinds.service import Service
from lbstates.kinds.sysctl import Sysctl
from lbstates.plan import Change, Owned, Plan, Resources, diff, foreign, index

_PHASES = {kind.name: kind for kind in KINDS}
_VIPS = st.sampled_from(["10.0.0.1", "10.0.0.2"])
_PORTS = st.sampled_from([80, 443])
_RESOURCES = st.one_of(
    st.builds(Sysctl, st.sampled_from(["a/x", "a/y", "b/z"]), st.sampled_from(["0", "1", "2"])),
    st.builds(Address, st.sampled_from(["lo", "eth0"]), _VIPS.map(lambda vip: f"{vip}/32")),
    st.builds(Service, st.sampled_from(["tcp", "udp"]), _VIPS, _PORTS, st.sampled_from(["rr", "wlc"])),
    st.builds(
        Destination,
        st.just("tcp"),
        _VIPS,
        _PORTS,
        _VIPS,
        _PORTS,
        st.just("direct"),
        st.integers(min_value=0, max_value=2),
    ),
    st.builds(Keepalived, st.sampled_from(["", "one\n", "two\n"]), st.booleans()),
)


def _indexed(resources: Sequence[Resource]) -> dict[str, dict[str, Resource]]:
    return index({(type(r), r.identity): r for r in resources}.values())


_STATES = st.lists(_RESOURCES, max_size=12).map(_indexed)


@st.composite
def _owned(draw: st.DrawFn) -> Owned:
    found = draw(_STATES)
    return {
        kind: {name: draw(st.sampled_from([prior, None])) for name, prior in of.items()} for kind, of in found.items()
    }


def _apply(plan: Plan, observed: Resources) -> dict[str, dict[str, Resource]]:
    after = {kind: dict(of) for kind, of in observed.items()}
    for change in plan:
        if change.verb == "remove":
            assert after[change.kind].pop(change.identity) == change.before
        else:
            assert after[change.kind].get(change.identity) == change.before
            assert change.after is not None
            after[change.kind][change.identity] = change.after
    return after


def _goal(desired: Resources, observed: Resources, owned: Owned) -> Mapping[str, Mapping[str, Resource]]:
    """What a host shall be afterwards, said without a plan."""
    goal = {kind: dict(of) for kind, of in observed.items()}
    for kind, of in owned.items():
        for identity, prior in of.items():
            if identity not in goal[kind]:
                continue
            if _PHASES[kind].restores and prior is not None:
                goal[kind][identity] = prior
            elif not _PHASES[kind].stays:
                del goal[kind][identity]
    for kind, wanted in desired.items():
        goal[kind] |= wanted
    return goal


@given(_STATES, _STATES, _owned())
def test_applying_the_plan_gives_the_desired_state(desired: Resources, observed: Resources, owned: Owned) -> None:
    """What is desired is there, what was ours is gone or as before, and all else is untouched."""
    after = _apply(diff(desired, observed, owned), observed)
    assert after == _goal(desired, observed, owned)


@given(_STATES, _STATES, _owned())
def test_after_the_plan_nothing_is_left_to_do(desired: Resources, observed: Resources, owned: Owned) -> None:
    after = _apply(diff(desired, observed, owned), observed)
    assert diff(desired, after, owned) == ()


@given(_STATES)
def test_the_plan_of_equal_states_is_empty(state: Resources) -> None:
    owned = {kind: dict.fromkeys(of) for kind, of in state.items()}
    assert diff(state, state, owned) == ()


@given(_STATES, _STATES)
def test_what_is_neither_desired_nor_owned_is_never_touched(desired: Resources, observed: Resources) -> None:
    touched = {(change.kind, change.identity) for change in diff(desired, observed, {})}
    assert touched <= {(kind, identity) for kind, of in desired.items() for identity in of}
    for kind, of in observed.items():
        assert set(foreign(desired, observed, {}, kind)) == of.keys() - desired[kind].keys()


@given(_STATES, _STATES, _owned())
def test_changes_come_in_the_order_that_protects_traffic(desired: Resources, observed: Resources, owned: Owned) -> None:
    phases = []
    for change in diff(desired, observed, owned):
        kind = _PHASES[change.kind]
        put_back = change.verb == "set" and change.identity not in desired[change.kind]
        phases.append(kind.remove if change.verb == "remove" or put_back else kind.put)
    assert phases == sorted(phases)


def test_r3_arp_sysctls_come_before_the_vip_and_leave_after_it() -> None:
    """A real server never has a VIP that it answers ARP for, neither on the way in nor on the way out."""
    arp, vip = Sysctl("net/ipv4/conf/all/arp_ignore", "1"), Address("lo", "10.0.0.1/32")
    before = index([Sysctl(arp.key, "0")])
    there = index([vip, arp])
    assert [c.kind for c in diff(there, before, {})] == ["sysctl", "address"]
    owned: Owned = {"sysctl": {arp.identity: Sysctl(arp.key, "0")}, "address": {vip.identity: None}}
    assert [(c.kind, c.verb) for c in diff({}, there, owned)] == [("address", "remove"), ("sysctl", "set")]


def test_a_director_forwards_before_it_attracts_traffic() -> None:
    """IPVS is complete before keepalived may take a VIP; keepalived gives it up before IPVS goes."""
    full = index(
        [
            Keepalived("x\n", running=True),
            Destination("tcp 10.0.0.1:80", "10.0.0.2", 80, "direct", 1),
            Service("tcp", "10.0.0.1", 80, "rr"),
        ]
    )
    assert [c.kind for c in diff(full, {}, {})] == ["service", "destination", "keepalived"]
    owned = {kind: dict.fromkeys(of) for kind, of in full.items()}
    assert [c.kind for c in diff({}, full, owned)] == ["keepalived", "destination", "service"]


def test_a_sysctl_that_was_ours_gets_its_prior_value_back() -> None:
    owned: Owned = {"sysctl": {"a/x": Sysctl("a/x", "7")}}
    assert diff({}, index([Sysctl("a/x", "1")]), owned) == (
        Change("sysctl", "set", "a/x", before=Sysctl("a/x", "1"), after=Sysctl("a/x", "7")),
    )


def test_one_identity_with_two_specifications_is_refused() -> None:
    with pytest.raises(ValueError, match="two different specifications of a/x"):
        index([Sysctl("a/x", "1"), Sysctl("a/x", "2")])


def test_the_label_of_an_address_is_one_that_the_kernel_takes() -> None:
    assert Address("lo", "10.0.0.1/32").label == "lo:vip"
    assert len(Address("averylongname.5", "10.0.0.1/32").label) <= 15


def test_a_change_reads_as_one_line() -> None:
    destination = Destination("tcp 10.0.0.1:80", "10.0.0.2", 80, "direct", 1)
    assert [
        Change("address", "add", "lo 10.0.0.1/32", after=Address("lo", "10.0.0.1/32")).describe(),
        Change("sysctl", "set", "a/x", before=Sysctl("a/x", "0"), after=Sysctl("a/x", "1")).describe(),
        Change("destination", "remove", destination.identity, before=destination).describe(),
        Change("keepalived", "add", "keepalived", after=Keepalived("a\nb\n", running=True)).describe(),
    ] == [
        "+ address lo 10.0.0.1/32",
        "~ sysctl a/x: 0 -> 1",
        "- destination tcp 10.0.0.1:80 -> 10.0.0.2:80: direct, weight 1",
        "+ keepalived: running, configuration of 2 lines",
    ]


def test_a_change_of_keepalived_shows_a_diff_without_passwords() -> None:
    """That the password changes is shown, neither the old nor the new one is."""
    before = Keepalived("a\n    auth_pass old\n", running=True)
    after = Keepalived("a\n    auth_pass new\n", running=True)
    change = Change("keepalived", "set", "keepalived", before=before, after=after)
    assert change.details()[-2:] == ("-    auth_pass ********", "+    auth_pass ********")
    assert "new" not in repr(change)
    assert Change("sysctl", "add", "a/x", after=Sysctl("a/x", "1")).details() == ()

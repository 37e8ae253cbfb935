"""Our rules and nft's JSON: what is written is read back, and nothing that nft may print is more than an oddity."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lbminion.nft_rules import BadRule, Rule, decode, spelled, transaction
from lbstates.kinds.clamp import Clamp
from lbstates.kinds.mark import Mark
from lbstates.kinds.service import family_of

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
numbers = st.integers(0, 65535)
ports = st.one_of(numbers.map(str), st.tuples(numbers, numbers).map(lambda pair: f"{min(pair)}-{max(pair)}"))
marks = st.builds(
    lambda protocol, address, some, mark: Mark(protocol, address, spelled(some), mark, family_of(address)),
    st.sampled_from(["tcp", "udp", "sctp"]),
    addresses,
    st.lists(ports, min_size=1, max_size=8),
    st.integers(1, (1 << 32) - 1),
)
clamps = st.builds(Clamp, addresses, st.integers(88, 65495))
json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.sampled_from(["==", "ip", "daddr", "lbmaster"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["match", "mangle", "op", "left", "right", "payload", "rule", "chain", "expr", "set", "range"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


def printed(rules: list[Rule]) -> dict[str, Any]:
    """What nft prints of a table that was written so."""
    return {"nftables": [command["add"] for command in transaction(rules)["nftables"] if "add" in command]}


@given(st.lists(st.one_of(marks, clamps), max_size=5))
def test_what_is_written_is_read_back(rules: list[Rule]) -> None:
    reading = decode(printed(rules))
    assert reading.oddities == ()
    assert reading.rules == tuple(rules)


@given(json)
def test_whatever_nft_prints_is_read_without_a_crash(document: object) -> None:
    decode(document)
    decode({"nftables": [document]})
    decode({"nftables": [{"rule": document}, {"rule": {"chain": "prerouting", "expr": document}}]})


@given(st.one_of(marks, clamps), st.data())
def test_a_rule_with_one_thing_changed_is_another_rule_or_an_oddity(rule: Rule, data: st.DataObject) -> None:
    document = printed([rule])
    (written,) = [item["rule"] for item in document["nftables"] if "rule" in item]
    place: Any = written["expr"]
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys)))
        if not isinstance(place[key], dict | list):
            changed = data.draw(json)
            assume(changed != place[key])
            place[key] = changed
            break
        place = place[key]
    reading = decode(document)
    # nft prints the one bit of a mask as number or as name.
    assert reading.rules != (rule,) or changed in (2, "syn", "in")
    assert len(reading.rules) + len(reading.oddities) == 1


@pytest.mark.parametrize("flags", [2, "syn"])
def test_both_ways_of_printing_a_flag_are_understood(flags: object) -> None:
    """By nft 1.0.6 (numeric) and by versions that print names, or one bit of a mask without the mask."""
    field = {"payload": {"protocol": "tcp", "field": "flags"}}
    for match in (
        {"op": "==", "left": {"&": [field, flags]}, "right": flags},
        {"op": "in", "left": field, "right": flags},
    ):
        document = printed([Clamp("10.0.0.1", 1400)])
        document["nftables"][-1]["rule"]["expr"][1] = {"match": match}
        assert decode(document).rules == (Clamp("10.0.0.1", 1400),)


def test_a_dormant_table_is_an_oddity() -> None:
    """Its rules are there, and do nothing."""
    document = printed([Clamp("10.0.0.1", 1400)])
    document["nftables"][0]["table"]["flags"] = ["dormant"]
    assert set(decode(document).oddities) == {"table lbmaster"}


def test_ports_are_spelled_in_one_way() -> None:
    assert spelled(["443", "80", "81-90", "85"]) == ("80-90", "443")
    assert spelled(["0-65535"]) == ("0-65535",)
    for bad in ("", "x", "1-", "-1", "2-1", "65536", "1,2", "１", "80\n"):
        with pytest.raises(BadRule):
            spelled([bad])


@given(addresses)
def test_an_address_is_written_as_nft_prints_it(address: str) -> None:
    assert str(ipaddress.ip_address(address)) in str(transaction([Clamp(address, 1400)]))

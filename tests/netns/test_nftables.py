"""Our table of packet rules in a real namespace; `nft` as an operator calls it is the independent reader and writer."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from benchmarks.bench.processes import until

from lbminion.errors import ChangeError
from lbminion.handlers.packet_rules import PacketRules
from lbminion.nft_rules import Reading
from lbminion.nftables import Nft
from lbstates.kinds.clamp import Clamp
from lbstates.kinds.kind import Resource
from lbstates.kinds.mark import Mark
from lbstates.kinds.registry import KIND_OF
from lbstates.plan import Change, Plan, Resources, diff, index

if TYPE_CHECKING:
    from pathlib import Path

    from tests.netns.conftest import Namespace

WEB = Mark("tcp", "172.28.128.200", ("80", "443", "8000-8010"), 7)
WEB6 = Mark("tcp", "fd00::200", ("80",), 7, "ipv6")
VOICE = Mark("udp", "172.28.128.201", ("5060-5061",), 8)
SIGNAL = Mark("sctp", "fd00::201", ("2905", "2904"), 9, "ipv6")
CLAMP = Clamp("172.28.128.200", 1440)
CLAMP6 = Clamp("fd00::200", 1380)
ALL = (WEB, WEB6, VOICE, SIGNAL, CLAMP, CLAMP6)

pytestmark = pytest.mark.needs_root


class Place:
    """The rules of one namespace, planned and applied as the reconciler does it."""

    def __init__(self, namespace: Namespace, nft: Nft | None = None) -> None:
        self.namespace = namespace
        self.handler = PacketRules(nft)

    def nft(self, *command: str) -> str:
        """Run nft as an operator does."""
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace.name, "nft", *command], check=True, capture_output=True, text=True
        ).stdout

    def observe(self, *resources: Resource) -> Resources:
        wanted = {kind: of_kind.keys() for kind, of_kind in index(resources).items()}
        return self.namespace.run(asyncio.run, self.handler.observe(wanted))

    def changed(self, observed: Resources, *resources: Resource) -> bool:
        wanted = {kind: of_kind.keys() for kind, of_kind in index(resources).items()}
        return self.namespace.run(self.handler.changed, wanted, observed)

    def plan(self, desired: Sequence[Resource], owned: Sequence[Resource] = ()) -> Plan:
        ours = {kind: dict.fromkeys(of_kind) for kind, of_kind in index(owned).items()}
        return diff(index(desired), self.observe(*{*desired, *owned}), ours)

    def apply(self, plan: Plan) -> list[ChangeError]:
        return self.namespace.run(asyncio.run, self.handler.apply(plan))

    def make(self, *resources: Resource) -> None:
        """Apply, and see that nothing is left to do."""
        assert self.apply(self.plan(resources)) == []
        assert self.plan(resources) == ()

    def close(self) -> None:
        self.handler.close()


@pytest.fixture
def place(netns: Namespace):  # noqa: ANN201
    made = Place(netns)
    yield made
    made.close()


def added(*resources: Resource) -> Plan:
    return tuple(Change(KIND_OF[type(it)].name, "add", it.identity, after=it) for it in resources)


def test_what_was_made_is_read_by_nft_and_by_us(place: Place) -> None:
    place.make(*ALL)
    assert place.nft("--numeric", "list", "table", "inet", "lbmaster").split("\n") == [
        "table inet lbmaster {",
        "\tchain output {",
        "\t\ttype filter hook output priority -150; policy accept;",
        '\t\tip saddr 172.28.128.200 tcp flags & 0x2 == 0x2 tcp option maxseg size set 1440 comment "lbmaster"',
        '\t\tip6 saddr fd00::200 tcp flags & 0x2 == 0x2 tcp option maxseg size set 1380 comment "lbmaster"',
        "\t}",
        "",
        "\tchain prerouting {",
        "\t\ttype filter hook prerouting priority -150; policy accept;",
        '\t\tip6 daddr fd00::201 sctp dport 2904-2905 meta mark set 0x00000009 comment "lbmaster"',
        '\t\tip daddr 172.28.128.200 tcp dport { 80, 443, 8000-8010 } meta mark set 0x00000007 comment "lbmaster"',
        '\t\tip6 daddr fd00::200 tcp dport 80 meta mark set 0x00000007 comment "lbmaster"',
        '\t\tip daddr 172.28.128.201 udp dport 5060-5061 meta mark set 0x00000008 comment "lbmaster"',
        "\t}",
        "}",
        "",
    ]


def test_drift_in_one_rule_is_seen_and_only_that_rule_is_in_the_plan(place: Place) -> None:
    place.make(WEB, VOICE)
    place.nft("flush", "chain", "inet", "lbmaster", "prerouting")
    place.nft(
        "add",
        "rule",
        "inet",
        "lbmaster",
        "prerouting",
        "ip daddr 172.28.128.200 tcp dport {80,443,8000-8010} meta mark set 3",
    )
    place.nft(
        "add", "rule", "inet", "lbmaster", "prerouting", "ip daddr 172.28.128.201 udp dport 5060-5061 meta mark set 8"
    )
    (step,) = place.plan([WEB, VOICE])
    assert step.describe() == "~ mark tcp 172.28.128.200 80,443,8000-8010: mark 3 -> mark 7"
    place.make(WEB, VOICE)


@pytest.mark.parametrize(
    "command",
    [
        "delete table inet lbmaster",
        "flush table inet lbmaster",
        "flush ruleset",
    ],
)
def test_rules_that_somebody_took_away_are_put_back(place: Place, command: str) -> None:
    place.make(WEB, CLAMP)
    place.nft(*command.split())
    assert [step.verb for step in place.plan([WEB, CLAMP])] == ["add", "add"]
    place.make(WEB, CLAMP)


@pytest.mark.parametrize(
    "command",
    [
        "insert rule inet lbmaster prerouting accept",
        "add rule inet lbmaster prerouting ip daddr 172.28.128.200 tcp dport 80 meta mark set 1",
        "add rule inet lbmaster prerouting ip daddr 172.28.128.200 tcp dport {80,443,8000-8010} meta mark set 1",
        "add rule inet lbmaster prerouting tcp dport vmap { 22 : drop }",
        "add rule inet lbmaster prerouting ip daddr 10.0.0.0/8 tcp dport 80 meta mark set 1",
        "add rule inet lbmaster output ip saddr 172.28.128.200 tcp flags syn tcp option maxseg size set rt mtu",
        "add chain inet lbmaster forward { type filter hook forward priority 0; policy drop; }",
        "add chain inet lbmaster prerouting { policy drop; }",
        "add set inet lbmaster s { type ipv4_addr; }",
        "add counter inet lbmaster c",
    ],
)
def test_what_is_not_ours_in_our_table_is_said_and_removed(
    place: Place, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    place.make(WEB, CLAMP)
    before = place.nft("list", "table", "inet", "lbmaster")
    place.nft(command)
    plan = place.plan([WEB, CLAMP])
    assert {step.verb for step in plan} == {"set"}
    assert "in a table that somebody changed" in plan[0].describe()
    assert "is not as we wrote it" in caplog.text
    place.make(WEB, CLAMP)
    assert place.nft("list", "table", "inet", "lbmaster") == before


def test_the_table_goes_with_the_last_rule_and_others_stay(place: Place) -> None:
    place.nft("add", "table", "inet", "lbmaster2")
    place.make(WEB, CLAMP)
    assert place.apply(place.plan([WEB], owned=[WEB, CLAMP])) == []
    assert "output" not in place.nft("list", "table", "inet", "lbmaster")
    assert place.apply(place.plan([], owned=[WEB])) == []
    assert place.nft("list", "tables") == "table inet lbmaster2\n"


def test_a_rule_of_ours_can_be_removed_from_a_table_that_somebody_changed(place: Place) -> None:
    place.make(WEB)
    place.nft("add rule inet lbmaster prerouting accept")
    assert place.apply(place.plan([], owned=[WEB])) == []
    assert place.nft("list", "tables") == ""


def test_nothing_is_asked_where_nothing_is_wanted(netns: Namespace) -> None:
    place = Place(netns, Nft("/nowhere/nft"))
    assert place.observe() == {"mark": {}, "clamp": {}}
    assert not place.changed({})


def test_ports_are_recognised_however_they_are_spelled(place: Place) -> None:
    """nft joins neighbours; the cluster file's own words stay the identity."""
    place.make(Mark("tcp", "10.0.0.1", ("81", "80", "82-90"), 1))
    assert "80-90" in place.nft("list", "table", "inet", "lbmaster")


def test_many_rules_are_written_at_one_stroke(place: Place) -> None:
    place.make(*(Mark("tcp", f"10.0.{n // 250}.{n % 250 + 1}", ("80", "443"), n + 1) for n in range(500)))


def test_a_change_is_noticed_cheaply_and_a_change_elsewhere_is_none(place: Place) -> None:
    place.make(WEB)
    observed = place.observe(WEB)
    assert not place.changed(observed, WEB)
    place.nft("add", "table", "inet", "elsewhere")
    assert not place.changed(observed, WEB)
    place.nft("flush", "table", "inet", "lbmaster")
    assert place.changed(observed, WEB)
    # A plan that nobody executes looks at the table too, and wants something else.
    assert place.observe(VOICE) == {"mark": {}, "clamp": {}}
    assert place.changed(observed, WEB)


class SlowNft(Nft):
    """One that waits, as nft does for somebody who loads a large ruleset."""

    def __init__(self) -> None:
        super().__init__()
        self.may_read = threading.Event()
        self.may_read.set()

    def read(self) -> Reading:
        assert self.may_read.wait(30)
        return super().read()


def test_an_nft_that_takes_long_does_not_hold_up_the_service(netns: Namespace) -> None:
    """Its answer is heard later, and a change is noticed then."""
    nft = SlowNft()
    place = Place(netns, nft)
    try:
        place.make(WEB)
        observed = place.observe(WEB)
        nft.may_read.clear()
        place.nft("flush", "table", "inet", "lbmaster")
        begun = time.monotonic()
        assert not place.changed(observed, WEB)
        assert not place.changed(observed, WEB)
        assert time.monotonic() - begun < 5
        nft.may_read.set()
        until(lambda: place.changed(observed, WEB), "the change is noticed", 30, pause=0.01)
    finally:
        nft.may_read.set()
        place.close()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (Mark("tcp", "10.0.0.1", ("80; flush ruleset",), 1), "no port"),
        (Mark("tcp", "10.0.0.1", ("90-80",), 1), "no range of ports"),
        (Mark("tcp", "10.0.0.1", ("65536",), 1), "no range of ports"),
        (Mark("tcp", "10.0.0.1", (), 1), "a port"),
        (Mark("tcp", "10.0.0.1", ("80",), 0), "a mark between"),
        (Mark("tcp", "10.0.0.1", ("80",), 1 << 32), "a mark between"),
        (Mark("tcp", "10.0.0.1", ("80",), 1, "ipv6"), "cannot be marked"),
        (Mark("icmp", "10.0.0.1", ("80",), 1), "cannot be marked"),  # type: ignore[arg-type]
        (Mark("tcp", "10.0.0.1/8", ("80",), 1), "no IP address"),
        (Mark("tcp", "web", ("80",), 1), "no IP address"),
        (Clamp("10.0.0.1", 0), "no maximum segment size"),
        (Clamp("10.0.0.1 drop", 1400), "no IP address"),
    ],
)
def test_a_bad_rule_is_named_and_nothing_of_its_plan_is_written(place: Place, bad: Resource, said: str) -> None:
    (error,) = place.apply(added(WEB, bad))
    assert bad.identity in str(error)
    assert said in str(error)
    assert place.nft("list", "tables") == ""


def test_a_host_without_nft_hears_what_to_install(netns: Namespace) -> None:
    place = Place(netns, Nft("/nowhere/nft"))
    (error,) = place.apply(place.plan([WEB]))
    assert "apt-get install nftables" in str(error)
    place.close()


def test_whether_a_host_can_have_such_rules_is_told_without_making_any(place: Place) -> None:
    assert place.namespace.run(Nft().obstacle) == ""
    assert place.nft("list", "tables") == ""
    place.make(WEB)
    assert place.namespace.run(Nft().obstacle) == ""
    assert place.plan([WEB]) == ()
    assert "apt-get install nftables" in place.namespace.run(Nft("/nowhere/nft").obstacle)


def test_what_nft_refuses_is_said_in_its_words(netns: Namespace, tmp_path: Path) -> None:
    script = tmp_path / "nft"
    script.write_text("#!/bin/sh\necho 'Error: Could not process rule: Operation not permitted' >&2\nexit 1\n")
    script.chmod(0o755)
    place = Place(netns, Nft(str(script)))
    (error,) = place.apply(added(WEB))
    assert "Operation not permitted" in str(error)
    place.close()


def test_without_rights_the_error_says_so(netns: Namespace, tmp_path: Path) -> None:
    script = tmp_path / "nft"
    script.write_text('#!/bin/sh\nexec setpriv --reuid 65534 --clear-groups nft "$@"\n')
    script.chmod(0o755)
    place = Place(netns, Nft(str(script)))
    (error,) = place.apply(added(WEB))
    assert "Operation not permitted" in str(error)
    place.close()


@pytest.mark.parametrize(
    "printed", ["no json", "[[[", '"x"', "[]", "{}", '{"nftables": 1}', '{"nftables": [1, null, {}]}']
)
def test_an_nft_that_prints_rubbish_is_an_oddity(netns: Namespace, tmp_path: Path, printed: str) -> None:
    script = tmp_path / "nft"
    script.write_text(f"#!/bin/sh\nprintf '%s' '{printed}'\n")
    script.chmod(0o755)
    assert netns.run(Nft(str(script)).read).rules == ()


def test_a_table_that_somebody_put_to_sleep_is_written_anew(place: Place) -> None:
    """Some versions of nft print no proper JSON of such a table."""
    place.make(WEB)
    place.nft("add table inet lbmaster { flags dormant; }")
    assert place.plan([WEB]) != ()
    place.make(WEB)
    assert "dormant" not in place.nft("list", "table", "inet", "lbmaster")

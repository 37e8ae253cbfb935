"""The inbox: what a minion accepts, what it refuses and why, and that a refusal changes nothing."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lbwire.codec import pack
from lbwire.envelope import Envelope, seal
from lbwire.errors import (
    ConflictingGeneration,
    Malformed,
    Refused,
    RepeatedCommand,
    StaleGeneration,
    UnknownAudience,
    UnknownKey,
)
from lbwire.inbox import Accepted, Inbox, Memory
from lbwire.messages import (
    MOST_ANNOUNCED,
    Ack,
    Beacon,
    Examine,
    FromMaster,
    Position,
    Reconcile,
    Release,
    State,
    Successor,
    Trial,
    payload,
)
from lbwire.topics import CLUSTER, EVERYONE, host_audience, role_audience

from .conftest import HOST, Master

MINE = host_audience(HOST)
REALSERVER = role_audience("realserver")
DIRECTOR = role_audience("director")
STATE = State((HOST, "netology2"), {"vips": []})


def held(inbox: Inbox, master: Master, generation: int = 5, command: int = 5) -> Memory:
    """Give a memory that holds a state of "web" and has seen a command."""
    staged = inbox.judge(master.say("state", REALSERVER, STATE, number=generation), Memory()).memory
    return inbox.judge(master.say("reconcile", CLUSTER, Reconcile("test"), command=command), staged).memory


def refused(inbox: Inbox, raw: bytes, memory: Memory, why: type[Refused]) -> None:
    before = msgspec.json.encode(memory)
    with pytest.raises(why) as caught:
        inbox.judge(raw, memory)
    assert type(caught.value) is why
    assert msgspec.json.encode(memory) == before


def test_each_type_is_accepted(inbox: Inbox, master: Master) -> None:
    """A message of every type, for whom it may be for, arrives as it was said."""
    memory = held(inbox, master)
    said: list[tuple[str, str, FromMaster, dict[str, int | str]]] = [
        ("state", REALSERVER, STATE, {"number": 6}),
        ("release", CLUSTER, Release((HOST,)), {"number": 5, "command": 6}),
        ("release", MINE, Release((HOST,)), {"number": 5, "command": 6}),
        ("reconcile", CLUSTER, Reconcile("operator"), {"command": 6}),
        ("reconcile", MINE, Reconcile("operator"), {"command": 6}),
        ("examine", CLUSTER, Examine(), {"command": 6}),
        ("examine", MINE, Examine(), {"command": 6}),
        ("trial", REALSERVER, Trial((HOST,), {}), {"command": 6}),
        ("beacon", EVERYONE, Beacon({"web": Position(5, 5)}), {"cluster": ""}),
        ("ack", MINE, Ack(1, 2), {"cluster": ""}),
        ("successor", EVERYONE, Successor(1, b"s" * 32, b"t" * 40), {"cluster": ""}),
    ]
    for kind, audience, message, more in said:
        accepted = inbox.judge(master.say(kind, audience, message, **more), memory)  # type: ignore[arg-type]
        assert accepted.message == message
        assert not accepted.repeated


def test_a_state_is_kept_in_mind_per_cluster_and_role(inbox: Inbox, master: Master) -> None:
    """Two clusters and two roles have numbers of their own."""
    memory = inbox.judge(master.say("state", REALSERVER, STATE, number=9), Memory()).memory
    memory = inbox.judge(master.say("state", DIRECTOR, STATE, number=2), memory).memory
    memory = inbox.judge(master.say("state", REALSERVER, STATE, number=1, cluster="mail"), memory).memory
    numbers = {(c, a): h.generation for c, of in memory.states.items() for a, h in of.items()}
    assert numbers == {("web", REALSERVER): 9, ("web", DIRECTOR): 2, ("mail", REALSERVER): 1}


def test_the_same_state_again_is_accepted_as_a_repetition(inbox: Inbox, master: Master) -> None:
    """A minion that catches up gets the bytes that it may have already."""
    memory = held(inbox, master)
    again = inbox.judge(master.say("state", REALSERVER, STATE, number=5), memory)
    assert again.repeated
    assert again.memory == memory


@pytest.mark.parametrize("generation", [1, 4])
def test_an_older_generation_is_refused(inbox: Inbox, master: Master, generation: int) -> None:
    """Replayed, reordered or rolled back: it is stale."""
    refused(inbox, master.say("state", REALSERVER, STATE, number=generation), held(inbox, master), StaleGeneration)


def test_a_second_content_for_a_generation_is_refused(inbox: Inbox, master: Master) -> None:
    """A generation is one thing for ever, whoever signed the other."""
    other = State((HOST,), {"vips": ["172.28.128.200"]})
    refused(inbox, master.say("state", REALSERVER, other, number=5), held(inbox, master), ConflictingGeneration)


@pytest.mark.parametrize("command", [0, 1, 4, 5])
@pytest.mark.parametrize(
    ("kind", "audience", "message"),
    [
        ("release", CLUSTER, Release((HOST,))),
        ("reconcile", CLUSTER, Reconcile("again")),
        ("examine", CLUSTER, Examine()),
        ("trial", REALSERVER, Trial((HOST,), {})),
    ],
)
def test_a_command_number_is_used_once(
    inbox: Inbox, master: Master, kind: str, audience: str, message: FromMaster, command: int
) -> None:
    """One line of numbers for all commands of a cluster; what is not above the last one is a replay."""
    raw = master.say(kind, audience, message, number=5, command=command)
    refused(inbox, raw, held(inbox, master), RepeatedCommand)


def test_commands_of_clusters_do_not_disturb_each_other(inbox: Inbox, master: Master) -> None:
    """A high number in one cluster says nothing about another."""
    memory = inbox.judge(master.say("state", REALSERVER, STATE, number=1, cluster="mail"), held(inbox, master)).memory
    accepted = inbox.judge(master.say("reconcile", CLUSTER, Reconcile(""), cluster="mail", command=1), memory)
    assert accepted.memory.commands == {"web": 5, "mail": 1}


@pytest.mark.parametrize(
    ("kind", "audience", "message", "cluster"),
    [
        ("state", CLUSTER, STATE, "web"),
        ("state", MINE, STATE, "web"),
        ("state", "role:client", STATE, "web"),
        ("state", DIRECTOR, State(("netology3",), {}), "web"),
        ("state", REALSERVER, State(("netology2",), {}), "mail"),
        ("trial", DIRECTOR, Trial(("netology3",), {}), "web"),
        ("trial", MINE, Trial((HOST,), {}), "web"),
        ("release", REALSERVER, Release((HOST,)), "web"),
        ("release", "host:netology2", Release(("netology2",)), "web"),
        ("release", CLUSTER, Release((HOST,)), "mail"),
        ("reconcile", EVERYONE, Reconcile(""), "web"),
        ("reconcile", CLUSTER, Reconcile(""), "mail"),
        ("examine", EVERYONE, Examine(), "web"),
        ("examine", CLUSTER, Examine(), "mail"),
        ("reconcile", "", Reconcile(""), "web"),
        ("beacon", CLUSTER, Beacon({}), ""),
        ("ack", "host:netology2", Ack(1, 1), ""),
        ("ack", EVERYONE, Ack(1, 1), ""),
    ],
)
def test_what_is_for_others_is_refused(
    inbox: Inbox, master: Master, kind: str, audience: str, message: FromMaster, cluster: str
) -> None:
    """Another host's, another role's, another cluster's, or an audience that the type cannot have."""
    raw = master.say(kind, audience, message, cluster=cluster, number=9, command=9)
    refused(inbox, raw, held(inbox, master), UnknownAudience)


def test_a_host_learns_that_it_was_taken_out(inbox: Inbox, master: Master) -> None:
    """A state of a role that it held is for it, though it is no longer named: now it has to clean up."""
    without = State(("netology2",), {})
    accepted = inbox.judge(master.say("state", REALSERVER, without, number=6), held(inbox, master))
    assert accepted.message == without


def test_a_reconcile_of_an_older_master_is_accepted(inbox: Inbox, master: Master) -> None:
    """It knows nothing of announcements, and writes none; nor does this one where there is nothing to announce."""
    raw = master.say("reconcile", CLUSTER, pack({"reason": "x"}), command=6)
    assert inbox.judge(raw, held(inbox, master)).message == Reconcile("x")
    assert payload(Reconcile("x")) == pack({"reason": "x"})


@pytest.mark.parametrize(
    ("kind", "audience", "body", "more"),
    [
        ("state", REALSERVER, b"", {"number": 6}),
        ("state", REALSERVER, pack({"hosts": [HOST]}), {"number": 6}),
        ("state", REALSERVER, pack({"hosts": [HOST], "desired": {}, "script": "x"}), {"number": 6}),
        ("state", REALSERVER, pack({"hosts": HOST, "desired": {}}), {"number": 6}),
        ("state", REALSERVER, pack({"desired": {}, "hosts": [HOST]}), {"number": 6}),
        ("state", REALSERVER, b"\x83\xa5hosts\x90" + pack({"hosts": [HOST], "desired": {}})[1:], {"number": 6}),
        ("state", REALSERVER, pack({"hosts": [HOST], "desired": {}}), {"number": 0}),
        ("state", REALSERVER, pack({"hosts": [HOST], "desired": {}}) + b"\x00", {"number": 6}),
        ("state", REALSERVER, pack({"hosts": [HOST], "desired": {}}), {"number": 6, "cluster": ""}),
        ("release", CLUSTER, pack({"hosts": ["../etc"]}), {"number": 5, "command": 6}),
        ("release", CLUSTER, pack({"hosts": ["netology1\n"]}), {"number": 5, "command": 6}),
        ("release", CLUSTER, pack({"hosts": [HOST]}), {"number": 0, "command": 6}),
        ("release", CLUSTER, pack({"hosts": [HOST], "desired": {}}), {"number": 5, "command": 6}),
        ("reconcile", CLUSTER, pack({"reason": 1}), {"command": 6}),
        ("reconcile", CLUSTER, pack({"reason": "x" * 4097}), {"command": 6}),
        ("reconcile", CLUSTER, pack({"announce": ["../www"], "reason": ""}), {"command": 6}),
        ("reconcile", CLUSTER, pack({"announce": ["www"] * (MOST_ANNOUNCED + 1), "reason": ""}), {"command": 6}),
        ("trial", REALSERVER, pack({"hosts": [HOST]}), {"command": 6}),
        ("beacon", EVERYONE, pack({"clusters": {"web": {"generation": -1, "command": 0}}}), {"cluster": ""}),
        ("beacon", EVERYONE, pack({"clusters": {"web": {"generation": 2**63, "command": 0}}}), {"cluster": ""}),
        ("beacon", EVERYONE, pack({"clusters": {}}), {"cluster": "web"}),
        ("ack", MINE, pack({"boot": 1, "sequence": 1.5}), {"cluster": ""}),
        ("ack", MINE, pack([1, 1]), {"cluster": ""}),
        ("ack", MINE, pack(None), {"cluster": ""}),
    ],
)
def test_a_payload_that_is_not_what_its_type_says_is_refused(
    inbox: Inbox, master: Master, kind: str, audience: str, body: bytes, more: dict[str, int | str]
) -> None:
    """Missing, unknown, doubled, reordered, mistyped or out of range: nothing of it is believed."""
    refused(inbox, master.say(kind, audience, body, **more), held(inbox, master), Malformed)  # type: ignore[arg-type]


def test_a_payload_under_another_type_is_refused(inbox: Inbox, master: Master) -> None:
    """Signed bytes of one type are not taken for another's."""
    refused(inbox, master.say("release", CLUSTER, Reconcile("x"), number=5, command=9), held(inbox, master), Malformed)


def test_a_foreign_master_is_refused(inbox: Inbox, master: Master, stranger: Master) -> None:
    """Whatever it says, however well it says it."""
    refused(inbox, stranger.say("state", REALSERVER, STATE, number=9), held(inbox, master), UnknownKey)


@given(st.binary(max_size=200))
def test_rubbish_changes_nothing(raw: bytes) -> None:
    """Any bytes are refused without a trace."""
    master = Master(b"\x01")
    memory = Memory(commands={"web": 1})
    with pytest.raises(Refused):
        Inbox(HOST, master.keys).judge(raw, memory)
    assert memory == Memory(commands={"web": 1})


def test_any_flipped_bit_of_a_state_changes_nothing(inbox: Inbox, master: Master) -> None:
    """Exhaustively, through the whole inbox."""
    raw = master.say("state", REALSERVER, STATE, number=6)
    memory = held(inbox, master)
    before = msgspec.json.encode(memory)
    for bit in range(len(raw) * 8):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refused):
            inbox.judge(bytes(damaged), memory)
    assert msgspec.json.encode(memory) == before


def test_the_memory_survives_a_restart(inbox: Inbox, master: Master) -> None:
    """Written as plain values and as JSON, it comes back equal and refuses the same."""
    memory = held(inbox, master)
    for restored in (
        msgspec.convert(msgspec.to_builtins(memory), Memory),
        msgspec.json.decode(msgspec.json.encode(memory), type=Memory),
    ):
        assert restored == memory
        refused(inbox, master.say("state", REALSERVER, STATE, number=4), restored, StaleGeneration)
        refused(inbox, master.say("reconcile", CLUSTER, Reconcile(""), command=5), restored, RepeatedCommand)


class Traffic(RuleBasedStateMachine):
    """Any messages in any order, replayed at will, with restarts between them."""

    def __init__(self) -> None:
        super().__init__()
        self.master = Master(b"\x01")
        self.inbox = Inbox(HOST, self.master.keys)
        self.memory = Memory()
        self.generation = 0
        self.command = 0
        self.contents: dict[int, object] = {}

    @rule(generation=st.integers(1, 8), content=st.integers(0, 2))
    def state(self, generation: int, content: int) -> None:
        raw = self.master.say("state", REALSERVER, State((HOST,), {"content": content}), number=generation)
        accepted = self._judge(raw)
        first = self.contents.get(generation)
        if accepted is None:
            assert generation < self.generation or (generation == self.generation and first != content)
            return
        assert generation >= self.generation
        assert accepted.repeated == (generation == self.generation)
        self.generation = generation
        self.contents.setdefault(generation, content)

    @rule(command=st.integers(0, 8))
    def reconcile(self, command: int) -> None:
        raw = self.master.say("reconcile", CLUSTER, Reconcile("any"), command=command)
        accepted = self._judge(raw)
        assert (accepted is not None) == (command > self.command and self.generation > 0)
        if accepted is not None:
            self.command = command

    @rule()
    def restart(self) -> None:
        self.memory = msgspec.convert(msgspec.to_builtins(self.memory), Memory)

    @invariant()
    def memory_is_what_was_accepted(self) -> None:
        of = self.memory.states.get("web", {})
        assert (of[REALSERVER].generation if of else 0) == self.generation
        assert self.memory.commands.get("web", 0) == self.command

    def _judge(self, raw: bytes) -> Accepted | None:
        try:
            accepted = self.inbox.judge(raw, self.memory)
        except Refused:
            return None
        self.memory = accepted.memory
        return accepted


TestTraffic = Traffic.TestCase


def test_a_second_key_can_be_trusted_beside_the_first(master: Master, stranger: Master) -> None:
    """While a master's key is changed, both are accepted, with one memory."""
    both = Inbox(HOST, {**master.keys, **stranger.keys})
    memory = held(both, master)
    newer = Envelope("state", "web", REALSERVER, 6, 0, pack({"hosts": [HOST], "desired": {}}))
    assert both.judge(seal(newer, stranger.key), memory).memory.states["web"][REALSERVER].generation == 6

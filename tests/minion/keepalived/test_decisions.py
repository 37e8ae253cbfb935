"""What is decided about keepalived without touching it: transitions, ends, leftovers, findings, whose command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbminion.keepalived.config_file import Finding, judge
from lbminion.keepalived.dump import parse
from lbminion.keepalived.ends import End
from lbminion.keepalived.ends import judge as judge_end
from lbminion.keepalived.fifo import FifoLine
from lbminion.keepalived.leftovers import leftovers, remove_leftovers
from lbminion.keepalived.process import configuration_of
from lbminion.keepalived.transitions import InstanceStates, Transition, said_stop
from lbstates.kinds.address import Address


def _line(word: str, name: str = "web", subject: str = "INSTANCE") -> FifoLine:
    return FifoLine("GROUP" if subject == "GROUP" else "INSTANCE", name, word, 200)


@pytest.mark.pitfall("V13")
def test_a_flap_is_told_as_it_was() -> None:
    """BACKUP, then MASTER again: two transitions, each with what was before."""
    states, told = InstanceStates(), []
    for word in ("BACKUP", "MASTER", "BACKUP", "MASTER", "STOP"):
        states, transition = states.after(_line(word))
        told.append(transition)
    assert [(t.previous, t.state) for t in told if t] == [
        (None, "BACKUP"),
        ("BACKUP", "MASTER"),
        ("MASTER", "BACKUP"),
        ("BACKUP", "MASTER"),
        ("MASTER", "STOP"),
    ]


@pytest.mark.parametrize("line", [_line("MASTER", subject="GROUP"), _line("MASTER_PRIORITY"), _line("BACKUP")])
def test_groups_notices_and_repetitions_are_no_transitions(line: FifoLine) -> None:
    """They change nothing that is known."""
    states, _ = InstanceStates().after(_line("BACKUP"))
    assert states.after(line) == (states, None)


def test_a_dump_tells_what_the_fifo_did_not() -> None:
    """After a reload: a changed state is a transition, an equal one is not, an instance that is gone is forgotten."""
    states, _ = InstanceStates().after(_line("MASTER", "a"))
    states, _ = states.after(_line("BACKUP", "b"))
    states, _ = states.after(_line("BACKUP", "gone"))
    states, missed = states.after_dump({"a": ("MASTER", 200), "b": ("MASTER", 90)})
    assert missed == (Transition("b", "MASTER", 90, "BACKUP"),)
    assert dict(states.states) == {"a": "MASTER", "b": "MASTER"}


def test_after_a_death_nothing_is_known() -> None:
    """A dead daemon is never MASTER."""
    states, _ = InstanceStates().after(_line("MASTER"))
    assert not states.after_death().states


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["MASTER", "BACKUP", "FAULT", "STOP", "X"]))))
def test_transitions_form_a_chain(said: list[tuple[str, str]]) -> None:
    """Each transition of an instance begins where its last one ended, and none leads nowhere."""
    states, last = InstanceStates(), dict[str, str]()
    for name, word in said:
        states, transition = states.after(_line(word, name))
        if transition is not None:
            assert transition.previous == last.get(name) != transition.state
            last[name] = transition.state
    assert dict(states.states) == last


def test_only_an_instance_that_says_stop_counts_as_stop() -> None:
    """Nothing else ends keepalived in order."""
    assert said_stop([_line("BACKUP"), _line("STOP")])
    assert not said_stop([_line("BACKUP"), _line("STOP", subject="GROUP")])


@pytest.mark.parametrize(
    ("pid_file_left", "stop_said", "end"),
    [
        (False, True, End.STOPPED),
        (False, None, End.STOPPED),
        (False, False, End.DIED),
        (True, True, End.DIED),
        (True, False, End.DIED),
        (True, None, End.DIED),
    ],
)
def test_an_end_is_an_operators_only_when_all_signs_say_so(
    pid_file_left: bool, stop_said: bool | None, end: End
) -> None:
    """A killed parent's child says STOP too; so the pid file that is left decides."""
    assert judge_end(pid_file_left=pid_file_left, stop_said=stop_said) is end


_VIP = Address("eth1", "172.28.128.200/24")
_OTHER = Address("eth1", "172.28.128.30/24")


def test_leftovers_are_our_vips_on_a_host_without_keepalived() -> None:
    """Never another address, never twice, and never while keepalived owns them."""
    present = {_VIP, _OTHER}
    assert leftovers(running=False, vips=[_VIP, _VIP, Address("eth1", "172.28.128.201/24")], present=present) == (_VIP,)
    assert leftovers(running=True, vips=[_VIP], present=present) == ()


async def test_one_address_that_cannot_be_removed_keeps_none_of_the_others() -> None:
    """Failures are handed back beside what was removed."""
    error = OSError("refused")

    async def remove(vip: Address) -> None:
        if vip == _OTHER:
            raise error

    assert await remove_leftovers([_OTHER, _VIP], remove) == ((_VIP,), (error,))


@pytest.mark.parametrize(
    ("returncode", "output", "findings"),
    [
        (0, "", ()),
        (
            5,
            "(/run/x: Line 28) Truncating auth_pass to 8 characters\n",
            (Finding("Truncating auth_pass to 8 characters", 28, fatal=False),),
        ),
        (5, "(Line 20) Unknown keyword 'prioryti'\n", (Finding("Unknown keyword 'prioryti'", 20),)),
        (0, "Config files missing '/x'.\n", (Finding("Config files missing '/x'."),)),
        (5, "twice\ntwice\n", (Finding("twice"),)),
        (2, "", (Finding("keepalived --config-test ended with 2 and said nothing"),)),
        (-9, "", (Finding("keepalived --config-test ended with -9 and said nothing"),)),
    ],
)
def test_messages_are_judged_not_exit_codes(returncode: int, output: str, findings: tuple[Finding, ...]) -> None:
    """Code 5 may be a mere warning and code 0 a missing file."""
    assert judge(returncode, output) == findings


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        (("/usr/sbin/keepalived", "--dont-fork"), "/etc/keepalived/keepalived.conf"),
        (("keepalived", "-n", "-f", "/a"), "/a"),
        (("keepalived", "-f/a"), "/a"),
        (("keepalived", "--use-file", "/a", "-l"), "/a"),
        (("keepalived", "--use-file=/a"), "/a"),
        (("keepalived", "-f"), "/etc/keepalived/keepalived.conf"),
    ],
)
def test_the_command_line_tells_which_file_a_keepalived_reads(arguments: tuple[str, ...], config: str) -> None:
    """All the ways in which the option can be written."""
    assert configuration_of(arguments) == Path(config)


_DUMP = (
    b'[{"data":{"iname":"web","state":2,"effective_priority":200,"vipset":true,'
    b'"vips":["10.77.0.100 dev v0 scope global set"]},"stats":{"advert_sent":12}}]'
)


def test_a_dump_is_read() -> None:
    """State by its word, and the counters."""
    instance = parse(_DUMP)["web"]
    assert (instance.state, instance.priority, instance.statistics) == ("MASTER", 200, {"advert_sent": 12})
    assert instance.vips == ("10.77.0.100 dev v0 scope global set",)


@given(st.one_of(st.binary(max_size=200), st.integers(0, len(_DUMP) - 1).map(lambda end: _DUMP[:end])))
def test_half_a_dump_or_rubbish_is_refused(raw: bytes) -> None:
    """keepalived may be writing still: nothing but a ValueError comes out."""
    try:
        parse(raw)
    except ValueError:
        return
    assert raw.strip() == b"[]"

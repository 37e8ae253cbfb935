"""The state machine of a verdict: what probes say about a destination."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbstates.checks import TcpCheck
from lbstates.health import UNPROVEN, Changed, Flapped, Outcome, Verdict, adopted, judge, renewed, rises_needed

CHECK = TcpCheck(interval=2, timeout=1, rise=2, fall=3)
PASSED = Outcome(passed=True)
FAILED = Outcome(passed=False, reason="connection refused")


def _after(verdict: Verdict, outcomes: str, start: float = 100.0) -> tuple[Verdict, list[object]]:
    """Probe every two seconds; "+" passes, "-" fails."""
    happenings: list[object] = []
    for place, outcome in enumerate(outcomes):
        judged = judge(verdict, CHECK, PASSED if outcome == "+" else FAILED, start + 2 * place)
        verdict = judged.verdict
        happenings += judged.happenings
    return verdict, happenings


@pytest.mark.pitfall("H3")
def test_h3_the_first_probe_that_passes_lets_a_new_one_in() -> None:
    """A new real server waits for one, whatever `rise` says, and whatever was lost before it."""
    for outcomes in ("+", "-+", "--+"):
        verdict, happenings = _after(UNPROVEN, outcomes)
        assert verdict.state == "up"
        assert [type(it) for it in happenings] == [Changed]


@pytest.mark.pitfall("H4")
def test_h4_a_lost_probe_says_nothing_of_a_new_one_either() -> None:
    """As many in a row have to fail as take out one that is in; that is no fall, since it never was in."""
    assert _after(UNPROVEN, "--")[0].state == "unproven"
    verdict, happenings = _after(UNPROVEN, "---")
    assert (verdict.state, verdict.falls) == ("down", ())
    assert happenings == [Changed("down", "connection refused", 4.0)]


@pytest.mark.pitfall("H4")
def test_h4_a_lost_probe_takes_nobody_out() -> None:
    """Only `fall` of them in a row do; one that passes begins the row anew."""
    verdict, happenings = _after(adopted(0), "--+--+-+")
    assert verdict.state == "up"
    assert happenings == []
    assert verdict.against == 0


def test_a_real_server_comes_back_after_rise_probes_in_a_row() -> None:
    """And what happened says since when, and what the probe met."""
    verdict, happenings = _after(adopted(0), "---+-++")
    assert verdict.state == "up"
    assert happenings == [Changed("down", "connection refused", 4.0), Changed("up", "", 2.0)]
    assert verdict.recovered == verdict.since == 112.0


@pytest.mark.pitfall("H4")
def test_h4_flapping_doubles_the_probes_that_have_to_pass() -> None:
    """Every fall within the window but the first; up to a bound; and it is said."""
    verdict, happenings = _after(adopted(0), "---++---")
    assert happenings[-1] == Flapped(2, 10.0, 4)
    verdict, _ = _after(verdict, "+++", 200)
    assert verdict.state == "down"
    verdict, _ = _after(verdict, "++++", 210)
    assert verdict.state == "up"
    for again in range(20):
        verdict, _ = _after(verdict, "---" + 40 * "+", 300 + again)
    assert rises_needed(verdict, CHECK, 320) == 2 * 16


def test_what_is_long_ago_is_forgiven() -> None:
    """A fall counts for ten minutes, and so does not one whose time lies ahead: it is from before a reboot."""
    verdict, _ = _after(adopted(0), "---++---")
    assert rises_needed(verdict, CHECK, 120) == 4
    assert rises_needed(verdict, CHECK, 800) == 2
    assert rises_needed(verdict, CHECK, 5) == 2


def test_a_probe_of_which_nothing_follows_leaves_the_very_same_verdict() -> None:
    """So that nothing has to be decided or remembered for the nearly all of them that are like that."""
    verdict, _ = _after(UNPROVEN, "+")
    assert judge(verdict, CHECK, PASSED, 5000).verdict is verdict


def test_an_adopted_destination_is_in_until_probes_say_otherwise() -> None:
    """With `fall` of them, as for any other; it has nothing to start slowly."""
    assert _after(adopted(0), "--")[0].state == "up"
    assert _after(adopted(0), "---")[0].state == "down"
    assert _after(adopted(0), "+")[0].recovered is None


def test_a_changed_check_has_to_prove_itself_while_the_verdict_stands() -> None:
    """A push that changes a check takes nobody out by itself."""
    verdict, _ = _after(UNPROVEN, "+--")
    after = renewed(verdict)
    assert (after.state, after.against, after.proven, after.established) == ("up", 0, False, True)


def test_a_verdict_survives_being_written_down() -> None:
    """As JSON and as MessagePack; what is none is refused."""
    verdict, _ = _after(adopted(0), "---++---")
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(verdict), type=Verdict) == verdict
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"state": "sideways"}', type=Verdict)


def test_a_reason_of_any_length_is_kept_within_bounds() -> None:
    """It comes from a real server, and is written down."""
    verdict = judge(UNPROVEN, CHECK, Outcome(passed=False, reason="x" * 100_000), 0).verdict
    assert len(verdict.reason) == 1000


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=80),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from([UNPROVEN, adopted(0)]),
)
def test_no_row_of_probes_breaks_the_machine(
    probes: list[tuple[bool, float]], rise: int, fall: int, verdict: Verdict
) -> None:
    """Unproven only until it was up or down; up only after one that passed, down only after one that failed; all is said."""
    check = TcpCheck(rise=rise, fall=fall)
    now = 0.0
    for passed, later in probes:
        now += later
        judged = judge(verdict, check, Outcome(passed, "" if passed else "no"), now)
        changes = [it for it in judged.happenings if isinstance(it, Changed)]
        assert judged.verdict.state != "unproven" or (verdict.state == "unproven" and not passed)
        assert bool(changes) == (judged.verdict.state != verdict.state)
        if changes:
            assert judged.verdict.state == ("up" if passed else "down")
            assert judged.verdict.since == now
        assert judged.verdict.established or judged.verdict.state != "up"
        assert len(judged.verdict.falls) <= 10
        verdict = judged.verdict

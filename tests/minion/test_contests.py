"""Who keeps changing a thing back gets pauses that grow, is named, and is forgotten when it stops."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbminion.contests import FIRST_PAUSE, FREE, LONGEST_PAUSE, WINDOW, Contests

A, B = "a", "b"


def fight(contests: Contests[str], times: int, start: float = 0.0, every: float = 1.0, key: str = A) -> float:
    """Break a thing and repair it at once, again and again; returns the time after that."""
    now = start
    for _ in range(times):
        waiting, _ = contests.judge([key], now)
        assert not waiting
        contests.repaired([key], now)
        now += every
    return now


def test_what_is_broken_a_few_times_is_repaired_at_once() -> None:
    """An operator who tries something three times in a minute is no contest."""
    contests: Contests[str] = Contests()
    fight(contests, FREE)
    assert contests.settle(WINDOW * 3) == ()


def test_what_is_broken_again_has_to_wait_and_is_named_once() -> None:
    """At the next look it waits still, and nothing more is said of it."""
    contests: Contests[str] = Contests()
    now = fight(contests, FREE)
    waiting, (worse,) = contests.judge([A], now)
    assert waiting == {A}
    assert (worse.keys, worse.times, worse.seconds, worse.pause) == ((A,), FREE, now, FIRST_PAUSE)
    assert contests.judge([A], now + 0.5) == (waiting, ())
    assert not contests.due(now + 0.5)
    assert contests.due(now + FIRST_PAUSE)


def test_after_the_pause_it_is_repaired_and_the_next_pause_is_twice_as_long() -> None:
    """Counted from the repair."""
    contests: Contests[str] = Contests()
    now = fight(contests, FREE)
    contests.judge([A], now)
    now += FIRST_PAUSE
    assert contests.judge([A], now) == (frozenset(), ())
    contests.repaired([A], now)
    waiting, (worse,) = contests.judge([A], now + 0.1)
    assert waiting == {A}
    assert worse.pause == 2 * FIRST_PAUSE
    assert contests.due(now + 2 * FIRST_PAUSE)
    assert not contests.due(now + 2 * FIRST_PAUSE - 0.01)


def test_one_contest_does_not_delay_another_thing() -> None:
    """What nobody fights over is repaired at once."""
    contests: Contests[str] = Contests()
    now = fight(contests, FREE)
    waiting, _ = contests.judge([A, B], now)
    assert waiting == {A}


def test_slow_disagreements_are_no_contest() -> None:
    """Something that comes once a minute is repaired at once each time."""
    contests: Contests[str] = Contests()
    fight(contests, 10 * FREE, every=WINDOW / (FREE - 1))


def test_what_stays_as_it_shall_be_is_settled_and_told_once() -> None:
    """Afterwards it is repaired at once again."""
    contests: Contests[str] = Contests()
    now = fight(contests, FREE)
    contests.judge([A], now)
    now += FIRST_PAUSE
    contests.judge([A], now)
    contests.repaired([A], now)
    contests.judge([], now)
    assert contests.settle(now + WINDOW - 1) == ()
    (settled,) = contests.settle(now + WINDOW + 1)
    assert (settled.keys, settled.times) == ((A,), FREE + 1)
    assert contests.settle(now + WINDOW + 2) == ()
    fight(contests, FREE, start=now + WINDOW + 3)


def test_what_its_owner_put_right_himself_is_settled_too() -> None:
    """It was waiting, and is no longer broken."""
    contests: Contests[str] = Contests()
    now = fight(contests, FREE)
    contests.judge([A], now)
    contests.judge([], now + 1)
    assert not contests.due(now + LONGEST_PAUSE)
    assert contests.settle(now + WINDOW + LONGEST_PAUSE)


def test_what_is_still_broken_is_not_settled() -> None:
    """However long ago it was repaired."""
    contests: Contests[str] = Contests()
    now = fight(contests, FREE)
    contests.judge([A], now)
    assert contests.settle(now + 10 * LONGEST_PAUSE) == ()
    contests.judge([A], now + 10 * LONGEST_PAUSE)
    assert contests.settle(now + 20 * LONGEST_PAUSE) == ()


def test_a_reset_forgets_everything() -> None:
    """A push decides anew."""
    contests: Contests[str] = Contests()
    now = fight(contests, FREE)
    contests.judge([A], now)
    contests.reset()
    assert not contests.due(now + LONGEST_PAUSE)
    fight(contests, FREE, start=now)


def test_a_repair_that_fails_is_tried_again_without_a_longer_pause() -> None:
    """What nobody changed back is no contest."""
    contests: Contests[str] = Contests()
    for second in range(100):
        assert contests.judge([A], float(second)) == (frozenset(), ())


@given(st.lists(st.floats(0.0, 400.0), min_size=1, max_size=80))
def test_a_fight_never_goes_on_at_full_speed(breaks: list[float]) -> None:
    """Whatever the other does: pauses only grow up to the bound, and no window has more repairs than are allowed."""
    contests: Contests[str] = Contests()
    now, broken = 0.0, False
    repairs: list[float] = []
    pauses: list[float] = []
    for gap in breaks:
        until = now + gap
        broken = True
        while broken and now <= until:  # looked at every second, as the minion does
            waiting, worse = contests.judge([A], now)
            pauses += [it.pause for it in worse]
            if not waiting:
                contests.repaired([A], now)
                contests.judge([], now)
                repairs.append(now)
                broken = False
            now += 1.0
        now = max(now, until)
        if contests.settle(now):
            pauses.clear()
        assert pauses == sorted(pauses)
        assert all(FIRST_PAUSE <= pause <= LONGEST_PAUSE for pause in pauses)
    most = FREE + WINDOW / FIRST_PAUSE
    assert all(sum(start <= at < start + WINDOW for at in repairs) <= most for start in repairs)


@given(st.integers(FREE, 300))
def test_against_somebody_who_changes_it_back_at_once_the_repairs_become_rare(seconds: int) -> None:
    """Each pause is twice as long as the one before, so that their number is a logarithm of the time."""
    contests: Contests[str] = Contests()
    repairs = 0
    for second in range(seconds):
        waiting, _ = contests.judge([A], float(second))
        if not waiting:
            contests.repaired([A], float(second))
            repairs += 1
    assert repairs <= FREE + seconds.bit_length()

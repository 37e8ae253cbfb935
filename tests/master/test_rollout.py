"""The rollout as a state machine: whatever happens in whatever order, its promises hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lbmaster.requests import canaries
from lbmaster.rollout import (
    OPTIONAL_SECONDS,
    Aborted,
    Applied,
    Back,
    Drained,
    Finish,
    Happening,
    Looked,
    Lost,
    RefusedBy,
    ReleaseWave,
    Resumed,
    Rollout,
    Staged,
    Tick,
    step,
)
from lbmaster.topology import Topology
from lbmaster.waves import Wave, plan_waves, replanned

HOSTS = ("r1", "r2", "d1", "d2")
NEW = Topology(("d1", "d2"), ("r1", "r2"))
WAVES = plan_waves(NEW, Topology(), {"www": "d1"})

hosts = st.sampled_from((*HOSTS, "stranger"))
happenings = st.lists(
    st.tuples(
        st.one_of(
            st.builds(Staged, hosts),
            st.builds(Applied, hosts),
            st.builds(RefusedBy, hosts, st.just("no")),
            st.builds(Lost, hosts),
            st.builds(Back, hosts),
            st.builds(Looked, st.just(())),
            st.builds(Looked, st.just(()), st.just(("wait",))),
            st.builds(Looked, st.just(("it hurts",))),
            st.builds(Resumed),
            st.builds(Drained),
            st.builds(Tick),
            st.builds(Aborted),
        ),
        st.floats(0, 1.5),
    ),
    max_size=60,
)
rollouts = st.builds(
    Rollout,
    st.just(WAVES),
    st.just(10.0),
    wave_timeout=st.sampled_from([0.0, 2.0]),
    gates=st.booleans(),
    pauses=st.frozensets(st.integers(1, 3)),
    drain=st.sampled_from([0.0, 3.0]),
    optional=st.frozensets(st.sampled_from(HOSTS), max_size=2),
    forgiving=st.booleans(),
)


@given(rollouts, happenings)
def test_promises_hold_whatever_happens(rollout: Rollout, story: list[tuple[Happening, float]]) -> None:
    """Nothing is released before all have staged; waves in order; a host once; each behind a gate that passed.

    Converged only if every host has applied, but for those that may hold up nobody.
    """
    now, released, finished, passed = 0.0, list[str](), list[Finish](), 0
    for happening, seconds in story:
        now += seconds
        before = rollout
        rollout, instructions = step(rollout, happening, now)
        if before.phase == "gating" and isinstance(happening, Looked) and not happening.problems + happening.waiting:
            passed += 1
        for instruction in instructions:
            assert not finished
            match instruction:
                case Finish():
                    finished.append(instruction)
                case ReleaseWave(number):
                    excused = rollout.optional if not rollout.forgiving else frozenset(HOSTS)
                    assert rollout.staged | excused >= set(HOSTS)
                    assert not set(instruction.hosts) & set(released)
                    behind = {host for wave in WAVES[: number - 1] for host in wave.hosts}
                    assert rollout.applied | excused >= behind
                    assert not rollout.gates or passed >= number - 1
                    released += instruction.hosts
                case _:
                    pass
        if before.over:
            assert (rollout, instructions) == (before, ())
        if isinstance(happening, Aborted):
            assert rollout.over
    assert rollout.over == bool(finished)
    if rollout.phase == "converged" and not rollout.forgiving:
        assert rollout.applied | rollout.optional >= set(HOSTS)
        assert not rollout.gates or passed == len(WAVES)
    waits = rollout.phase in ("gating", "paused", "draining") or rollout.over
    assert waits or rollout.wakes is not None


@given(rollouts)
def test_a_rollout_that_is_forgiving_ends_although_nobody_answers(rollout: Rollout) -> None:
    """Time alone brings it to its end, wave by wave."""
    rollout = replace(rollout, forgiving=True, gates=False, pauses=frozenset())
    now = 0.0
    for _ in range(20):
        if rollout.over:
            break
        assert rollout.wakes is not None
        now = max(now, rollout.wakes)
        rollout, _ = step(rollout, Tick(), now)
    assert rollout.phase in ("failed", "converged")
    assert rollout.phase == "failed" or rollout.optional >= set(HOSTS)


def test_time_that_is_waited_on_purpose_does_not_count() -> None:
    """A pause of an hour leaves the hosts of the next wave their time."""
    rollout = Rollout(WAVES, deadline=10.0, pauses=frozenset({1}))
    for happening in (*map(Staged, HOSTS), Applied("r1"), Applied("r2")):
        rollout, _ = step(rollout, happening, 1.0)
    assert rollout.phase == "paused"
    rollout, (release,) = step(rollout, Resumed(), 3601.0)
    assert isinstance(release, ReleaseWave)
    rollout, instructions = step(rollout, Tick(), 3609.0)
    assert (instructions, rollout.wakes) == ((), 3610.0)


def test_a_lost_host_fails_its_wave_when_the_others_have_answered() -> None:
    """Nobody waits for its timeout; in its place in a later wave it may be back."""
    rollout = Rollout(WAVES, deadline=60.0)
    for happening in (*map(Staged, HOSTS), Lost("d1"), Applied("r1"), Lost("r2")):
        rollout, instructions = step(rollout, happening, 1.0)
    (finish,) = instructions
    assert isinstance(finish, Finish)
    assert finish.problems["r2"] == "was released, and lost before it had applied"
    rollout = Rollout(WAVES, deadline=60.0)
    for happening in (*map(Staged, HOSTS), Lost("d1"), *map(Applied, ("r1", "r2")), Back("d1"), Applied("d2")):
        rollout, instructions = step(rollout, happening, 1.0)
    assert instructions == (ReleaseWave(3, "d1 with www", ("d1",), last=True),)


def test_a_rollout_that_all_follow_releases_real_servers_standby_active() -> None:
    """The usual story, step by step."""
    rollout = Rollout(plan_waves(NEW, Topology(), {"www": "d1"}), deadline=10.0)
    instructions: tuple[object, ...] = ()
    for host in HOSTS:
        rollout, instructions = step(rollout, Staged(host), 0.0)
    assert instructions == (ReleaseWave(1, "additions on real servers", ("r1", "r2"), last=False),)
    rollout, _ = step(rollout, Applied("r1"), 0.0)
    rollout, instructions = step(rollout, Applied("r2"), 0.0)
    assert instructions == (ReleaseWave(2, "standby director d2", ("d2",), last=False),)
    rollout, instructions = step(rollout, Applied("d2"), 0.0)
    assert instructions == (ReleaseWave(3, "d1 with www", ("d1",), last=True),)
    rollout, instructions = step(rollout, Applied("d1"), 0.0)
    assert instructions == (Finish("converged", {}),)


def test_time_that_runs_out_names_who_was_waited_for() -> None:
    """At staging nothing was released; while applying, those behind were held back."""
    rollout = Rollout(plan_waves(NEW, Topology(), {}), deadline=10.0)
    for host in HOSTS[:3]:
        rollout, _ = step(rollout, Staged(host), 0.0)
    _, (finish,) = step(rollout, Tick(), 10.0)
    assert isinstance(finish, Finish)
    assert list(finish.problems) == ["d2"]
    rollout, _ = step(rollout, Staged("d2"), 0.0)
    _, (finish,) = step(rollout, Tick(), 10.0)
    assert isinstance(finish, Finish)
    assert set(finish.problems) == set(HOSTS)
    assert "not released" in finish.problems["d1"]


def test_a_way_back_has_its_time_wave_by_wave() -> None:
    """It begins when the push has used up its own; one host that hangs must not have all others released at once."""
    rollout = Rollout(WAVES, deadline=15.0, wave_timeout=20.0, forgiving=True)
    for host in HOSTS:
        rollout, instructions = step(rollout, Staged(host), 16.0)
    assert [it.hosts for it in instructions if isinstance(it, ReleaseWave)] == [("r1", "r2")]
    rollout, _ = step(rollout, Applied("r1"), 16.5)
    rollout, instructions = step(rollout, Tick(), 36.0)
    assert [it.hosts for it in instructions if isinstance(it, ReleaseWave)] == [("d2",)]
    rollout, instructions = step(rollout, Applied("d2"), 36.5)
    assert [it.hosts for it in instructions if isinstance(it, ReleaseWave)] == [("d1",)]


def test_who_holds_up_nobody_does_not_use_up_the_time_of_the_others() -> None:
    """It is there and says nothing: it is waited for some seconds, at each step, and the push converges."""
    rollout = Rollout(WAVES, deadline=6.0, optional=frozenset({"r2"}))
    for host in ("r1", "d1", "d2"):
        rollout, instructions = step(rollout, Staged(host), 1.0)
    assert (instructions, rollout.wakes) == ((), OPTIONAL_SECONDS)
    rollout, instructions = step(rollout, Tick(), 5.0)
    assert [it.hosts for it in instructions if isinstance(it, ReleaseWave)] == [("r1",)]
    for now, host in ((9.0, "r1"), (9.5, "d2"), (10.0, "d1")):
        rollout, instructions = step(rollout, Applied(host), now)
    (finish,) = instructions
    assert isinstance(finish, Finish)
    assert (finish.outcome, list(finish.problems)) == ("converged", ["r2"])


names = st.sets(st.sampled_from("abcdef"))


@given(names, names, names, names, names)
def test_waves_hold_every_host_of_both_generations_once(
    directors: set[str], real: set[str], old_directors: set[str], old_real: set[str], holders: set[str]
) -> None:
    """Also hosts that leave, change their role or have both; entering real servers first, leaving ones last.

    Who is a director before and after goes with the directors: one that holds VIPs alone, behind all that hold none.
    """
    new = Topology(tuple(sorted(directors)), tuple(sorted(real)))
    old = Topology(tuple(sorted(old_directors)), tuple(sorted(old_real)))
    waves = tuple(w.hosts for w in plan_waves(new, old, {f"of {holder}": holder for holder in holders}))
    flat = [host for wave in waves for host in wave]
    assert sorted(flat) == sorted({*new.hosts, *old.hosts})
    assert all(waves)
    if entering := real - directors - old_directors:
        assert set(waves[0]) == entering
    if leaving := set(old.real_servers) - real - (directors & old_directors):
        assert set(waves[-1]) == leaving
    staying = directors & old_directors
    number = {host: number for number, wave in enumerate(waves) for host in wave}
    for host in staying & holders:
        assert waves[number[host]] == (host,)
        assert all(number[other] < number[host] for other in staying - holders)


def test_directors_that_are_real_servers_too_are_changed_one_after_the_other() -> None:
    """Whether they become real servers, stay or leave: no push meets two directors that hold VIPs at once."""
    both, plain = Topology(("d1", "d2"), ("d1", "d2", "r1")), Topology(("d1", "d2"), ("r1",))
    for old, new in ((plain, both), (both, both), (both, plain)):
        waves = plan_waves(new, old, {"web": "d1"})
        assert [wave.hosts for wave in waves] == [("r1",), ("d2",), ("d1",)]


def test_a_director_that_still_takes_connections_as_a_real_server_leaves_behind_those_that_send_them() -> None:
    """Where nothing was drained: at a way back, or because somebody asked for that."""
    both, plain = Topology(("d1", "d2"), ("d1", "d2", "r1")), Topology(("d1", "d2"), ("r1",))
    waves = plan_waves(plain, both, {"web": "d1"}, drained=False)
    assert [wave.hosts for wave in waves] == [("r1",), ("d1",), ("d2",)]
    assert waves[-1].purpose == "standby directors that were real servers"


def test_directors_that_become_real_servers_go_when_others_have_taken_over() -> None:
    """Their VIPs are held all the time: the new directors come first."""
    old, new = Topology(("d1", "d2"), ("r1",)), Topology(("d3", "d4"), ("d1", "d2"))
    waves = plan_waves(new, old, {"web": "d1"})
    assert [wave.hosts for wave in waves] == [("d3",), ("d4", "d2"), ("d1",), ("r1",)]


@given(
    st.integers(0, 2000),
    st.one_of(st.integers(0, 150).map(lambda n: f"{n}%"), st.integers(0, 99).map(str), st.just("")),
)
def test_a_canary_is_at_least_one_host_and_at_most_all(number: int, share: str) -> None:
    """Where a share was named and there are hosts."""
    first = canaries(share, number)
    assert 0 <= first <= number
    assert bool(first) == bool(share and number)
    new = Topology(("d1",), tuple(f"r{n}" for n in range(number)))
    waves = plan_waves(new, Topology(), {}, share)
    assert [len(wave.hosts) for wave in waves if wave.canary] == ([first] if first else [])


def test_active_directors_go_one_by_one_and_one_standby_goes_alone() -> None:
    """So that of those that can take over most are whole at any time."""
    new = Topology(("d1", "d2", "d3", "d4", "d5"), ())
    waves = plan_waves(new, new, {"web": "d1", "mail": "d3", "ftp": "d1"})
    assert [(wave.purpose, wave.hosts) for wave in waves] == [
        ("standby director d2", ("d2",)),
        ("standby directors", ("d4", "d5")),
        ("d1 with ftp, web", ("d1",)),
        ("d3 with mail", ("d3",)),
    ]


def test_what_is_left_is_ordered_anew_and_what_was_released_stays() -> None:
    """Whom the new plan does not know comes last; nobody is left out, and nobody comes twice."""
    new = Topology(("d1", "d2", "d3"), ("r1", "r2"))
    waves = plan_waves(new, new, {"web": "d1"}, "1")
    assert [wave.hosts for wave in waves] == [("r1",), ("r2",), ("d2",), ("d3",), ("d1",)]
    assert replanned(waves, 1, waves) == waves
    moved = replanned(waves, 1, plan_waves(new, new, {"web": "d2"}, "1"))
    assert [(wave.purpose, wave.hosts) for wave in moved] == [
        ("canary", ("r1",)),
        ("additions on real servers", ("r2",)),
        ("standby director d1", ("d1",)),
        ("standby directors", ("d3",)),
        ("d2 with web", ("d2",)),
    ]
    assert [wave.hosts for wave in replanned(waves, 3, plan_waves(new, new, {"web": "d3"}, "1"))[3:]] == [
        ("d1",),
        ("d3",),
    ]
    gone = Wave("removals on real servers", ("r9",))
    assert replanned((*waves, gone), 2, moved)[2:] == (*moved[2:], gone)


@pytest.mark.pitfall("V4")
def test_directors_reload_together_when_other_vips_are_advertised() -> None:
    """Between two reloads each would drop the other's advertisements. With nobody MASTER yet, one after the other."""
    old = Topology(
        ("d1", "d2"), ("r1",), {}, {"web": frozenset({"10.0.0.1", "10.0.0.2"}), "mail": frozenset({"10.0.0.3"})}
    )
    new = replace(old, advertised={"web": frozenset({"10.0.0.1"}), "ftp": frozenset({"10.0.0.4"})})
    waves = plan_waves(new, old, {"web": "d1", "mail": "d2"})
    assert [wave.hosts for wave in waves] == [("r1",), ("d1", "d2")]
    assert waves[1].purpose == "directors together: web will advertise another VIP"
    assert [wave.hosts for wave in plan_waves(new, old, {})] == [("r1",), ("d1",), ("d2",)]
    assert [wave.hosts for wave in plan_waves(new, new, {"web": "d1"})] == [("r1",), ("d2",), ("d1",)]

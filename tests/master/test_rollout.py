"""The rollout as a state machine: whatever happens in whatever order, its promises hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbmaster.rollout import Applied, Finish, RefusedBy, ReleaseWave, Rollout, Staged, Tick, step
from lbmaster.topology import Topology
from lbmaster.waves import plan_waves

HOSTS = ("r1", "r2", "d1", "d2")
NEW = Topology(("d1", "d2"), ("r1", "r2"))

happenings = st.lists(
    st.tuples(
        st.one_of(
            st.builds(Staged, st.sampled_from((*HOSTS, "stranger"))),
            st.builds(Applied, st.sampled_from((*HOSTS, "stranger"))),
            st.builds(RefusedBy, st.sampled_from(HOSTS), st.just("no")),
            st.builds(Tick),
        ),
        st.floats(0, 1.5),
    ),
    max_size=40,
)


@given(happenings)
def test_promises_hold_whatever_happens(story: list[tuple[Staged | Applied | RefusedBy | Tick, float]]) -> None:
    """Nothing is released before all have staged; waves in order; a host once; converged only if all applied."""
    rollout = Rollout(plan_waves(NEW, Topology(), {"d1"}), deadline=10.0)
    now, released, finished = 0.0, list[str](), list[Finish]()
    for happening, seconds in story:
        now += seconds
        before = rollout
        rollout, instructions = step(rollout, happening, now)
        for instruction in instructions:
            assert not finished
            if isinstance(instruction, Finish):
                finished.append(instruction)
                continue
            assert rollout.staged >= set(HOSTS)
            assert not set(instruction.hosts) & set(released)
            behind = {host for wave in rollout.waves[: instruction.number - 1] for host in wave}
            assert rollout.applied >= behind
            released += instruction.hosts
        if before.over:
            assert (rollout, instructions) == (before, ())
    assert (rollout.phase == "converged") == (bool(finished) and finished[0].outcome == "converged")
    if rollout.phase == "converged":
        assert rollout.applied >= set(HOSTS)
    if now > 10.0 and story and isinstance(story[-1][0], Tick):
        assert rollout.over or rollout.applied < set(HOSTS)


def test_a_rollout_that_all_follow_releases_real_servers_standby_active() -> None:
    """The usual story, step by step."""
    rollout = Rollout(plan_waves(NEW, Topology(), {"d1"}), deadline=10.0)
    instructions: tuple[object, ...] = ()
    for host in HOSTS:
        rollout, instructions = step(rollout, Staged(host), 0.0)
    assert instructions == (ReleaseWave(1, ("r1", "r2"), last=False),)
    rollout, _ = step(rollout, Applied("r1"), 0.0)
    rollout, instructions = step(rollout, Applied("r2"), 0.0)
    assert instructions == (ReleaseWave(2, ("d2",), last=False),)
    rollout, instructions = step(rollout, Applied("d2"), 0.0)
    assert instructions == (ReleaseWave(3, ("d1",), last=True),)
    rollout, instructions = step(rollout, Applied("d1"), 0.0)
    assert instructions == (Finish("converged", {}),)


def test_time_that_runs_out_names_who_was_waited_for() -> None:
    """At staging nothing was released; while applying, those behind were held back."""
    rollout = Rollout(plan_waves(NEW, Topology(), set()), deadline=10.0)
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


names = st.sets(st.sampled_from("abcdef"))


@given(names, names, names, names, names)
def test_waves_hold_every_host_of_both_generations_once(
    directors: set[str], real: set[str], old_directors: set[str], old_real: set[str], holders: set[str]
) -> None:
    """Also hosts that leave or change their role; entering real servers first, leaving ones last."""
    new = Topology(tuple(sorted(directors - real)), tuple(sorted(real)))
    old = Topology(tuple(sorted(old_directors - old_real)), tuple(sorted(old_real)))
    waves = plan_waves(new, old, holders)
    flat = [host for wave in waves for host in wave]
    assert sorted(flat) == sorted({*new.hosts, *old.hosts})
    assert all(waves)
    if real:
        assert set(waves[0]) == real
    if leaving := set(old.real_servers) - real:
        assert set(waves[-1]) == leaving

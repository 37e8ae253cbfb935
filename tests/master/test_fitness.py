"""fitness: every reason why a director should not take over, and which one is taken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lbmaster.fitness import Candidate, candidate, choose, ranking, unfit
from lbmaster.view import View
from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState
from lbwire.messages import Health, Hello, Holding, Role, Sample

FIT = Candidate("d2", online=True, applied=7, states={"web": "BACKUP", "mail": "BACKUP"})
HOLDER = Candidate("d1", online=True, applied=7, states={"web": "MASTER", "mail": "MASTER"})
BOTH = ("web", "mail")


def _why(**fields: Any) -> tuple[str, ...]:
    return unfit(msgspec.structs.replace(FIT, **fields), HOLDER, BOTH, 7)


def test_a_director_in_order_is_fit() -> None:
    """Also where nobody holds anything."""
    assert unfit(FIT, HOLDER, BOTH, 7) == ()
    assert unfit(FIT, None, BOTH, 7) == ()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"applied": 6}, "generation 6 is in force there, not 7"),
        ({"drift": 2}, "2 of the things that it shall have are not as they shall be"),
        ({"trouble": "stopped by an operator"}, "its keepalived: stopped by an operator"),
        ({"states": {"web": "BACKUP", "mail": "FAULT"}}, "mail: it is in FAULT: an interface that it tracks is down, or it gave up"),
        ({"states": {"mail": "BACKUP"}}, "web: it has told nothing of its state yet"),
        ({"states": {"web": "STOP", "mail": "BACKUP"}}, "web: it has left the election: keepalived does not run there"),
        ({"failing": frozenset({"x"})}, "real servers fail there that d1 reaches: x"),
        ({"failing": frozenset("abcde")}, "real servers fail there that d1 reaches: a, b, c and 2 others"),
        ({"away": True}, "it was evacuated, or is in maintenance"),
    ],
)  # fmt: skip
def test_each_reason_is_named(fields: dict[str, Any], reason: str) -> None:
    assert _why(**fields) == (reason,)


def test_all_reasons_are_named_together() -> None:
    assert len(_why(applied=6, drift=1, trouble="x", states={}, away=True)) == 6


def test_of_one_that_is_not_heard_of_nothing_else_is_said() -> None:
    """What it last said may be long over."""
    assert _why(online=False, drift=3) == ("its minion is not heard of",)
    assert _why(online=False, away=True) == ("it was evacuated, or is in maintenance", "its minion is not heard of")


def test_what_fails_at_the_holder_too_is_no_reason() -> None:
    holder = msgspec.structs.replace(HOLDER, failing=frozenset({"x", "y"}))
    assert unfit(msgspec.structs.replace(FIT, failing=frozenset({"x"})), holder, BOTH, 7) == ()


def test_the_first_in_rank_that_is_fit_is_taken() -> None:
    """Never the holder; why the ones before it are not is told."""
    ill = msgspec.structs.replace(FIT, name="d3", drift=1)
    chosen, why = choose((HOLDER, ill, FIT), HOLDER, BOTH, 7)
    assert (chosen, sorted(why), why["d2"]) == ("d2", ["d2", "d3"], ())
    assert choose((HOLDER, ill), HOLDER, BOTH, 7)[0] is None
    assert choose((HOLDER,), HOLDER, BOTH, 7) == (None, {})


def test_the_ranking_is_that_of_the_file() -> None:
    text = (
        "cluster: c\ndirectors: {d1: 10.0.0.1, d2: 10.0.0.2}\nvips: {web: 10.0.0.9/24}\ninstances: {web: {home: d2}}\n"
    )
    state = compile_cluster(parse(text, "x"))["director"]
    assert isinstance(state, DirectorState)
    assert ranking(state, "web") == ("d2", "d1")
    assert ranking(state, "mail") == ()


def test_a_candidate_is_what_its_minion_said_last() -> None:
    """Nothing is known of one that said nothing."""
    view = View()
    view.hear("d2", 1.0, 1.0)
    view.hello("d2", Hello("x", "2.2.7", 1, 0, {}))
    health = Health(failing={"a": "refused"})
    sample = Sample(1.0, {"c": Holding(7, 7, 1)}, {"web": Role("BACKUP", 240)}, 3, keepalived="stopped", health=health)
    view.sampled("d2", sample, 1.0)
    expected = Candidate("d2", True, 7, 3, {"web": "BACKUP"}, "stopped", frozenset("a"), True)
    assert candidate("d2", "c", view.minions["d2"], {"d2"}) == expected

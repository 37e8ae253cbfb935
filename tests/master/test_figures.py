"""The IPVS figures of a host, put together from its samples, as `stats` answers them."""

from __future__ import annotations

from lbmaster.report import cluster_stats
from lbmaster.topology import Topology
from lbmaster.view import MOST_FIGURES, View
from lbwire.messages import Figures, Sample, Statistics

WEB = Topology(("d1", "d2"), ("r1",), {"www": ("10.0.0.100/24",)})
SERVICE, FIRST, SECOND = "tcp 10.0.0.100:80", "tcp 10.0.0.100:80 -> 10.0.0.1:80", "tcp 10.0.0.100:80 -> 10.0.0.2:80"


def figures(identity: str, connections: int) -> Figures:
    """Figures of one entry."""
    return Figures(identity, *range(connections, connections + 10), active=1, inactive=2, weight=3)


def sample(number: int, *entries: Figures, full: bool = False, gone: tuple[str, ...] = ()) -> Sample:
    """A sample with these figures."""
    services = tuple(entry for entry in entries if entry.identity == SERVICE)
    destinations = tuple(entry for entry in entries if entry.identity != SERVICE)
    return Sample(0.0, {}, {}, 0, services, destinations, number=number, full=full, gone=gone)


def told(*samples: Sample) -> dict[str, list[Statistics]]:
    """What `stats` says of d1 after these samples."""
    view = View()
    view.hear("d1", 0.0, 1000.0)
    for one in samples:
        view.sampled("d1", one, 1.0)
    answer = cluster_stats(WEB, view, 3.0)
    assert answer["d1"]["age"] == 2.0
    assert answer["d2"] == {"age": None, "services": (), "destinations": ()}
    return {kind: list(answer["d1"][kind]) for kind in ("services", "destinations")}


def named(entry: Figures) -> Statistics:
    """The same with names."""
    return Statistics(entry.identity, *range(entry.connections, entry.connections + 10), active=1, inactive=2, weight=3)


def test_a_full_sample_is_what_there_is() -> None:
    web, first = figures(SERVICE, 5), figures(FIRST, 6)
    assert told(sample(7, web, first, full=True)) == {"services": [named(web)], "destinations": [named(first)]}


def test_figures_are_as_old_as_the_last_sample_that_told_any() -> None:
    """Of a minion that has just started, and has not read its table, or of one whose sample was missed."""
    view = View()
    view.hear("d1", 0.0, 1000.0)
    view.sampled("d1", sample(0), 1.0)
    assert cluster_stats(WEB, view, 3.0)["d1"]["age"] is None
    view.sampled("d1", sample(1, figures(SERVICE, 5), full=True), 4.0)
    for moment in (5.0, 6.0):
        view.sampled("d1", sample(0), moment)
    assert cluster_stats(WEB, view, 7.0)["d1"]["age"] == 3.0


def test_changes_replace_add_and_take_away() -> None:
    begin = sample(1, figures(SERVICE, 5), figures(FIRST, 6), full=True)
    after = told(begin, sample(2, figures(FIRST, 7)), sample(3, figures(SECOND, 8)), sample(4, gone=(SERVICE,)))
    assert after == {"services": [], "destinations": [named(figures(FIRST, 7)), named(figures(SECOND, 8))]}


def test_changes_that_do_not_follow_are_passed_over_until_the_next_full_sample() -> None:
    begin = sample(1, figures(FIRST, 6), full=True)
    lost = [sample(3, figures(FIRST, 9)), sample(4, figures(SECOND, 9))]
    assert told(begin, *lost)["destinations"] == [named(figures(FIRST, 6))]
    assert told(begin, *lost, sample(5, figures(SECOND, 9), full=True))["destinations"] == [named(figures(SECOND, 9))]


def test_a_minion_that_began_anew_is_heard_from_its_first_full_sample_on() -> None:
    again = sample(1, figures(SECOND, 1), full=True)
    assert told(sample(90, figures(FIRST, 6), full=True), again)["destinations"] == [named(figures(SECOND, 1))]


def test_a_host_can_have_only_so_many_figures_remembered() -> None:
    """Made up by a captured host, sample after sample; what is known is still updated, and what goes makes room."""
    view = View()
    view.hear("d1", 0.0, 1000.0)
    made = [figures(f"tcp 10.0.0.100:80 -> {number}", 1) for number in range(MOST_FIGURES + 1000)]
    assert view.sampled("d1", sample(1, *made[:30_000], full=True), 1.0) == 0
    assert view.sampled("d1", sample(2, *made[30_000:60_000]), 1.0) == 0
    assert view.sampled("d1", sample(3, *made[60_000:], figures(made[0].identity, 9)), 1.0) == 1000
    counted = view.minions["d1"].counted
    assert len(counted.destinations) == MOST_FIGURES
    assert counted.destinations[made[0].identity].connections == 9
    gone = tuple(entry.identity for entry in made[:1000])
    assert view.sampled("d1", sample(4, *made[-1000:], gone=gone), 1.0) == 0
    assert view.sampled("d1", sample(5, figures("x" * 10_000, 1)), 1.0) == 1
    kept = view.minions["d1"].sample
    assert kept is not None
    assert kept.destinations == ()

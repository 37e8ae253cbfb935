"""Whether what leaves a cluster has to be drained first, and whether too much of a pool leaves. Decides from what is seen."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from lbstates.bridge import bridge, leaving
from lbstates.desired import DirectorState, RoleState
from lbstates.pools import edit_problems

from .errors import RequestError
from .gatekeeper import connections
from .requests import Options
from .topology import Topology
from .view import View

logger = logging.getLogger(__name__)


def crossing(
    old: Mapping[str, RoleState], new: Mapping[str, RoleState], wanted: Topology, options: Options, view: View
) -> dict[str, RoleState] | None:
    """Return the states in which what leaves is drained; None when that is not needed, or not possible.

    It is needed when a director counts connections, also ended ones, to what leaves: they show that there is traffic.
    One that is there, and has not told yet what it counts, may have some.
    """
    was, will = old.get("director"), new.get("director")
    if not options.drain or not isinstance(was, DirectorState) or not isinstance(will, DirectorState):
        return None
    gone = leaving(was, will)
    untold = any(view.is_there(host) and not view.minions[host].counted.told for host in was.hosts)
    if not gone or not (untold or connections(view, {*was.hosts, *wanted.directors}, gone, ended=True)):
        return None
    try:
        return bridge(old, new)
    except ValueError as error:
        logger.warning("%s: what leaves cannot be drained beside what comes: %s", will.cluster, error)
        return None


def refuse_below_floor(old: Mapping[str, RoleState], new: Mapping[str, RoleState], view: View) -> None:
    """Raise `RequestError` when an edit leaves less of a pool than its floor."""
    was, will = old.get("director"), new.get("director")
    if not isinstance(was, DirectorState) or not isinstance(will, DirectorState):
        return
    seen = [view.minions[host].sample for host in was.hosts if view.is_there(host)]
    failing = {identity for sample in seen if sample is not None for identity in sample.health.failing}
    problems = edit_problems(was, will, failing)
    if problems:
        raise RequestError("below_floor", "; ".join(problems) + "; --below-floor does it all the same")

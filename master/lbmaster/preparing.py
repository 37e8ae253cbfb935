"""Before a number is used: the file is compiled, and every host is there and would obey. Nothing is changed here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from typing import Any, Final

import msgspec

from lbstates.clusterfile import Cluster, check
from lbstates.compile import compile_cluster
from lbstates.desired import RoleState, encode_state
from lbstates.interventions import Interventions

from .carried import carried
from .clusters import Clusters
from .errors import RequestError
from .generations import Generations
from .keyring import Keyring
from .topology import Topology
from .view import View

POLL_SECONDS: Final = 0.05


class Content(msgspec.Struct, frozen=True):
    """What a generation says. `warnings` are findings, as the control protocol has them; `dropped` interventions, in words.

    `content_of`: it is that of an earlier generation (0: of none); `after`: the last one when it was compiled.
    """

    cluster: str
    text: str
    file: str
    states: dict[str, RoleState]
    interventions: Interventions
    warnings: tuple[dict[str, Any], ...] = ()
    dropped: tuple[str, ...] = ()
    content_of: int = 0
    after: int = 0

    def spared(self, allowed: Collection[str]) -> frozenset[str]:
        """Name the hosts that may be away: those in maintenance, and those that are `allowed` to."""
        return frozenset({*allowed, *(it.host for it in self.interventions.maintenance)})

    def encoded(self) -> dict[str, dict[str, Any]]:
        """Write the states as plain values, by role."""
        return {role: encode_state(state) for role, state in self.states.items()}


class There(msgspec.Struct, frozen=True):
    """Who takes part: `leaving` is what is there of the generation before, `missing` may be away, and is."""

    leaving: Topology
    missing: tuple[str, ...]


def read_text(text: str, file: str) -> tuple[Cluster, tuple[dict[str, Any], ...]]:
    """Check a cluster file and return it with its warnings; raises `RequestError` with all findings.

    What `lbmaster check` reminds of is not repeated at every push.
    """
    checked = check(text)
    findings = tuple(asdict(finding) for finding in checked.findings if finding.severity != "info")
    if checked.cluster is None:
        raise RequestError("bad_file", f"{file} cannot be used", findings)
    return checked.cluster, findings


async def compiled(
    clusters: Clusters,
    text: str,
    file: str,
    interventions: Mapping[str, Interventions],
    latest: Callable[[str], int],
) -> Content:
    """Compile a file; homes, VRIDs and marks stay as they are in what was released last, where they can.

    `interventions` by cluster are those in force; those that the file has no place for are dropped. `latest` tells the
    last generation of a cluster. Raises `RequestError`.
    """
    cluster, warnings = await asyncio.to_thread(read_text, text, file)
    after = latest(cluster.cluster)
    kept, dropped = carried(interventions.get(cluster.cluster, Interventions()), cluster)
    before = clusters.directors(cluster.cluster)
    states = await asyncio.to_thread(compile_cluster, cluster, before, kept)
    return Content(cluster.cluster, text, file, dict(states.items()), kept, warnings, dropped, after=after)


class Preparation:
    """Looks at who is there. In the first seconds after a start of the master it waits for minions to come back."""

    def __init__(
        self, generations: Generations, keyring: Keyring, clusters: Clusters, view: View, return_grace: float
    ) -> None:
        self._generations, self._keyring, self._clusters, self._view = generations, keyring, clusters, view
        self._loop = asyncio.get_running_loop()
        self._patience_ends = self._loop.time() + return_grace

    async def gather(self, cluster: str, wanted: Topology, old: Topology, allowed: Collection[str]) -> There:
        """Make sure that every host is there, but for those that are `allowed` to be away. Raises `RequestError`."""
        strangers = sorted(h for h in wanted.hosts if self._keyring.by_name(h) is None and h not in allowed)
        if strangers:
            names = ", ".join(strangers)
            raise RequestError("never_joined", f"never joined: {names}; run `lbminion join` there, and accept the key")
        # Only in the first seconds after a start is there anything to wait for.
        while (  # noqa: ASYNC110 - many hosts, each of which may come and go
            absent := [h for h in wanted.hosts if not self._view.is_there(h) and h not in allowed]
        ) and (self._loop.time() < self._patience_ends):
            await asyncio.sleep(POLL_SECONDS)
        if absent:
            listed = "; ".join(map(self._last_seen, sorted(absent)))
            way_out = f"start lbminion there, or push with --allow-missing {','.join(sorted(absent))}"
            raise RequestError("absent", f"not there: {listed}; {way_out}")
        self._check_numbers(cluster, wanted)
        missing = tuple(host for host in wanted.hosts if not self._view.is_there(host))
        return There(self._those_there(old, wanted.hosts), missing)

    def _those_there(self, old: Topology, wanted: Collection[str]) -> Topology:
        """Leave out who left and is away: he is told when he comes back."""
        return Topology(
            tuple(host for host in old.directors if host in wanted or self._view.is_there(host)),
            tuple(host for host in old.real_servers if host in wanted or self._view.is_there(host)),
            old.instances,
            old.advertised,
        )

    def _check_numbers(self, cluster: str, wanted: Topology) -> None:
        """Hosts that hold a generation beyond ours would refuse everything: this master lost its database, or part of it."""
        known = self._generations.clusters.get(cluster)
        ours = known.generation if known else 0
        beyond = {host: staged for host in wanted.hosts if (staged := self._view.holding(host, cluster).staged) > ours}
        if beyond:
            held = ", ".join(f"{host} holds {staged}" for host, staged in sorted(beyond.items()))
            raise RequestError(
                "behind",
                f"this master knows {cluster} up to generation {ours}, but {held}: its database was lost or is an old "
                'backup; see "A lost database" in docs/operations.md',
            )

    def _last_seen(self, host: str) -> str:
        silent = self._view.silent(host, self._loop.time())
        since = "not heard of since the master started" if silent is None else f"last heard of {silent:.0f} s ago"
        return f"{host} ({since})"

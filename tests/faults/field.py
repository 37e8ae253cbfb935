"""The cluster under load that faults happen to: what is pushed, what is heard of it, and whether it is whole again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from tests.faults import invariants
from tests.faults.allowance import Checks, Timers
from tests.faults.figures import overlap
from tests.faults.listening import Event, Load, Subscriber, Witness
from tests.faults.variants import Variant

from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState
from microvm.lab import Lab
from story.cast import FIVE, Cast
from story.hosts import Hosts, Unexpected
from story.steps import join, start_master

SETTLE_SECONDS: Final = 90.0
ADVERT: Final = re.compile(r"^\s*advert_int ([\d.]+)$", re.MULTILINE)
PRIORITY: Final = re.compile(r"^\s*priority (\d+)$", re.MULTILINE)


class Field:
    """A lab with the master set up, every host joined and the usual file pushed, under a steady load of requests."""

    def __init__(self, lab: Lab, cast: Cast = FIVE) -> None:
        self.lab = lab
        self.cast = cast
        self.hosts = Hosts(lab, cast=cast)
        self.addresses = {host.name: host.address for host in lab.topology.hosts}
        self.variant = Variant()
        start_master(self.hosts)
        join(self.hosts)
        answer = self.push(self.variant)
        if answer.get("outcome") != "converged":
            raise Unexpected(f"the first push did not converge: {answer}")
        self.hosts.until(lambda: self.hosts.holder() == self.home, f"{self.home} holds the VIP")
        self.timers = self._timers()
        self.checks = checks_in(self.variant.text(cast))
        self.load = Load(lab, cast)
        self.subscriber = Subscriber(lab, cast)
        self.witnesses = {director: Witness(lab, cast, director) for director in cast.directors}
        self.load.past(time.time())

    @property
    def home(self) -> str:
        """The director that holds the VIP when all is well."""
        return self.cast.directors[0]

    @property
    def standby(self) -> str:
        """The director that takes over."""
        return self.cast.directors[1]

    def _timers(self) -> Timers:
        """Read what keepalived was told, on the host."""
        text = self.hosts.out(self.standby, "cat /etc/keepalived/keepalived.conf")
        advert, priority = ADVERT.search(text), PRIORITY.search(text)
        if not advert or not priority:
            raise Unexpected(f"no advert_int or priority in keepalived.conf of {self.standby}:\n{text}")
        return Timers(float(advert[1]), int(priority[1]))

    # --- doing ------------------------------------------------------------------------------------------------------

    def push(self, variant: Variant, *, timeout: float = 120) -> dict[str, Any]:
        """Push a file; returns the command's answer, or its `error`. What is in force then is remembered.

        A push that was refused changed nothing, and one that failed was taken back.
        """
        text = variant.text(self.cast)
        done = self.lab.run(self.cast.master, "lbmaster push --json -", stdin=text, timeout=timeout, check=False)
        answer: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {"error": done.stderr.strip()}
        if "error" not in answer and not answer.get("rollback"):
            self.variant = variant
        return answer

    def signal(self, host: str, unit: str, signal: str) -> None:
        """Send a signal to every process of a unit."""
        self.hosts.out(host, f"systemctl kill --signal={signal} --kill-whom=all {unit}")

    def heard(
        self, event_type: str, minion: str | None = None, /, *, since: int, within: float = 30, **data: object
    ) -> Event:
        """Wait until a subscriber hears of it. Raises `Unexpected`."""

        def fits(event: Event) -> bool:
            return (
                event["type"] == event_type
                and minion in (None, event["minion"])
                and all(event["data"].get(key) == value for key, value in data.items())
            )

        return self.subscriber.wait(fits, f"{event_type} {minion or ''} {data or ''}", since=since, within=within)

    # --- looking ----------------------------------------------------------------------------------------------------

    def status(self) -> Mapping[str, Any] | None:
        """What `lbmaster status` says of the cluster; None while the master does not answer."""
        done = self.lab.run(self.cast.master, f"lbmaster status --json {self.cast.cluster}", check=False)
        if done.returncode:
            return None
        cluster: Mapping[str, Any] = json.loads(done.stdout)["clusters"][self.cast.cluster]
        return cluster

    def settle(self) -> float:
        """Wait until the cluster is as it was pushed, and nothing is wrong with it; returns Unix time. `Unexpected`."""
        self.hosts.until(self._at_rest, "the cluster is as it was pushed", within=SETTLE_SECONDS)
        moment = time.time()
        self.load.past(moment)
        return moment

    def _at_rest(self) -> bool:
        """Whether the master sees it whole, at home, and every host is so: by `ipvsadm` and `ip` there."""
        cluster = self.status()
        if not cluster:
            return False
        well = all(
            host["online"] and not host["drift"] and host["applied"] == cluster["released"]
            for host in cluster["hosts"].values()
        )
        holders = {vip["holder"] for vip in cluster["vips"].values()}
        complete = set(cluster["hosts"]) == set(self.cast.members) and cluster["rollout"] is None
        return well and complete and holders == {self.home} and not self.differences()

    def differences(self) -> list[str]:
        """Compare each host with what is pushed, by its own tools; returns what is otherwise."""
        with ThreadPoolExecutor() as pool:
            return [line for found in pool.map(self._compare, self.cast.members) for line in found]

    def _compare(self, host: str) -> list[str]:
        vips = set(self.variant.vips(self.cast))
        device = "eth0" if host in self.cast.directors else "lo"
        lines = self.hosts.out(
            host, f"ip -4 -o address show dev {device}; ipvsadm -Sn 2>/dev/null || true"
        ).splitlines()
        here = {line.split()[3].partition("/")[0] for line in lines if " inet " in line}
        here -= {self.addresses[host], "127.0.0.1"}
        wanted = set() if host == self.standby else vips
        found = (
            [] if here == wanted else [f"{host}: the VIPs {sorted(wanted)} on {device}, but there are {sorted(here)}"]
        )
        if host in self.cast.directors:
            # Services by mark are the way of the health checks' probes, and nobody else's.
            table = {line for line in lines if line.startswith(("-A -t", "-a -t"))}
            missing = self.variant.table(self.addresses, self.cast) ^ table
            found += [f"{host}: the IPVS table differs in {sorted(missing)}"] if missing else []
        return found

    def both(self, begin: float) -> float:
        """For how many seconds since then both directors had the VIP, by their kernels' word."""
        first, second = (witness.had(begin) for witness in self.witnesses.values())
        return overlap(first, second)

    def moves(self, begin: float) -> list[float]:
        """When the VIP came to a director or left it, in order."""
        now = time.time()
        edges = [
            edge for witness in self.witnesses.values() for had in witness.had(begin) for edge in (had.begin, had.end)
        ]
        return sorted(edge for edge in edges if begin < edge < now - 1)

    def broken(self) -> list[str]:
        """Say what is wrong with the journal, as a subscriber got it."""
        return invariants.broken(self.subscriber.since(0))

    def lost_events(self) -> list[str]:
        """Compare the journal with the subscriber, and with what waits on the hosts; returns what is wrong. Slow."""
        journal = self.hosts.events(0)
        found = [*invariants.broken(journal), *invariants.unlike(journal, self.subscriber.since(0))]
        last = {event["minion"]: (event["boot"], event["sequence"]) for event in journal}
        for host in self.cast.members:
            kept = json.loads(self.hosts.out(host, "python3 -", stdin=SPOOL))
            # What waits has to follow what is in the journal: anything between the two was acknowledged and lost.
            if kept and tuple(kept[0]) > last[host] and tuple(kept[0]) not in _followers(last[host], kept[0]):
                found.append(f"{host}: {kept[0]} waits first, but the journal ends with {last[host]}")
        return found

    def stop(self) -> None:
        """End everything that listens."""
        self.load.stop()
        self.subscriber.stop()
        for witness in self.witnesses.values():
            witness.stop()


def checks_in(text: str) -> Checks | None:
    """The health checks of a cluster file's first service, with what it leaves to defaults; None: there are none."""
    state = compile_cluster(parse(text, "pushed"))["director"]
    check = state.services[0].check if isinstance(state, DirectorState) else None
    return Checks(check.interval, check.timeout, check.fall) if check else None


SPOOL: Final = """
import json, sqlite3
connection = sqlite3.connect("file:/var/lib/lbminion/minion.sqlite?mode=ro", uri=True)
print(json.dumps(connection.execute("SELECT boot, sequence FROM event ORDER BY boot, sequence").fetchall()))
"""


def _followers(position: tuple[int, int], first: list[int]) -> list[tuple[int, int]]:
    """The next event of the same boot, or the first one of a later boot."""
    return [(position[0], position[1] + 1), (first[0], 1)]


Act = Callable[[Field], None]
"""Something that is done to the field. Raises `Unexpected` when it does not come out as it should."""

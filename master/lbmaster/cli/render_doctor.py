"""What the doctor found as a page: per cluster what shows between hosts, then per host, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from .answers import BetweenHosts, Examined, ExaminedHost, Symptom
from .page import Line, Page, Tone
from .text import count

_TONES: Final[dict[str, Tone]] = {"error": "bad", "warning": "warn", "info": "dim"}
_INDENT: Final = 4


def doctor_page(examined: Examined) -> Page:
    """Show every symptom with what it means and what repairs it."""
    lines: list[Line] = []
    for cluster, found in sorted(examined.clusters.items()):
        for between in found.between:
            lines += _lines(f"{cluster}: {', '.join(between.hosts)}", (between,))
        for name, host in sorted(found.hosts.items()):
            lines += _of_host(f"{cluster}: {name}", host)
    lines.append(Line(_summary(examined), "bad" if is_wrong(examined) else "good"))
    return tuple(lines)


def is_wrong(examined: Examined) -> bool:
    """Tell whether there is an error, or a host that could not be examined."""
    hosts = [host for cluster in examined.clusters.values() for host in cluster.hosts.values()]
    return any(host.silent or host.error for host in hosts) or any(it.severity == "error" for it in _all(examined))


def _all(examined: Examined) -> Iterator[Symptom | BetweenHosts]:
    for cluster in examined.clusters.values():
        yield from cluster.between
        for host in cluster.hosts.values():
            yield from host.symptoms


def _of_host(name: str, host: ExaminedHost) -> Iterator[Line]:
    if host.silent:
        yield Line(f"{name}: SILENT: it did not answer in time; run `lbminion doctor` there", "bad")
    elif host.error:
        yield Line(f"{name}: could not be examined: {host.error}", "bad")
    yield from _lines(name, host.symptoms)


def _lines(name: str, symptoms: Iterable[Symptom | BetweenHosts]) -> Iterator[Line]:
    for it in symptoms:
        yield Line(f"{name}: {it.severity} {it.id} {it.subject}: {it.seen}", _TONES.get(it.severity, "plain"))
        yield Line(f"means:  {it.means}", indent=_INDENT)
        yield Line(f"repair: {it.repair}", indent=_INDENT)


def _summary(examined: Examined) -> str:
    hosts = [host for cluster in examined.clusters.values() for host in cluster.hosts.values()]
    mute = sum(host.silent or bool(host.error) for host in hosts)
    found = [it.severity for it in _all(examined)]
    counts = [count(found.count(word), word) for word in ("error", "warning") if found.count(word)]
    if found.count("info"):
        counts.append(f"{found.count('info')} to know")
    said = ", ".join(counts) or ("nothing was found" if mute else "nothing is wrong")
    return f"{f'{len(hosts) - mute} of ' if mute else ''}{count(len(hosts), 'host')} examined: {said}."

"""The text of a cluster file -> the cluster and everything that can be found wrong with it, all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .checks import Declared, check_all
from .findings import ClusterFileError, Finding, Path, dotted
from .model import Cluster
from .reader import Document, read
from .sections import DirectorEntry, InstanceEntry, Ipvs, RealServerEntry, VipEntry, Vrrp
from .services import ServiceEntry
from .short import Section
from .wording import path_of, word

MOST_FINDINGS: Final = 1000
"""Nobody reads more, and a file that is wrong everywhere is no reason to be slow."""

_NAMED: Final[Mapping[str, type[Section]]] = {
    "directors": DirectorEntry,
    "real_servers": RealServerEntry,
    "vips": VipEntry,
    "instances": InstanceEntry,
}
_SINGLE: Final[Mapping[str, type[Section]]] = {"vrrp": Vrrp, "ipvs": Ipvs}
_OF_ALL_SERVICES: Final = ("check", "pool")
"""What stands at the top of the file for all services, and in one for itself."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A cluster and warnings, or no cluster and errors; findings are sorted by line.

    Warnings wait until there are no errors, because many would be their consequence (a misspelt name is never used).
    """

    cluster: Cluster | None
    findings: tuple[Finding, ...]


def parse(text: str, name: str) -> Cluster:
    """Read a cluster file that must be right; `name` is what the errors call it. Warnings are left to `check`.

    Raises `ClusterFileError` with all findings.
    """
    checked = check(text)
    if checked.cluster is None:
        raise ClusterFileError(name, checked.findings)
    return checked.cluster


def check(text: str) -> Checked:
    """Find everything that is wrong with the text; raises nothing."""
    document = read(text)
    if document.data is None:
        empty = Finding(1, "", "the file is empty", "write a cluster; `lbmaster check --help` shows one")
        return Checked(None, tuple(document.findings) or (empty,))
    cluster, findings = _validate(document)
    found = tuple(sorted({*document.findings, *findings}))
    errors = tuple(finding for finding in found if finding.severity == "error")
    return Checked(None, _first(errors)) if errors else Checked(cluster, _first(found))


def _first(found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Leave out what nobody reads, and say so."""
    if len(found) <= MOST_FINDINGS:
        return found
    shown = found[:MOST_FINDINGS]
    last = shown[-1]
    return (*shown, Finding(last.line, "", "there is more than this", "begin with what stands above", last.severity))


def _validate(document: Document) -> tuple[Cluster | None, list[Finding]]:
    try:
        cluster = Cluster.model_validate(document.data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        findings = _model_findings(document, details[: MOST_FINDINGS + 1])
        if isinstance(document.data, dict) and len(details) <= MOST_FINDINGS:
            sound, kept = _sound_part(document.data, {path_of(detail) for detail in details})
            findings += _cross_check(sound, kept, document)
        return None, findings
    return cluster, _cross_check(cluster, range(len(cluster.services)), document)


def _model_findings(document: Document, details: Sequence[ErrorDetails]) -> list[Finding]:
    found = []
    for detail in details:
        if detail["type"] == "too_short" and detail["input"]:
            continue  # there are entries, and each has a finding of its own
        path = path_of(detail)
        if detail["type"] != "missing":
            path = _as_written(path, document)
        found.append(Finding(document.line(path), dotted(path), *word(detail)))
    return found


def _sound_part(data: dict[str, Any], bad: set[Path]) -> tuple[Cluster, Sequence[int]]:
    """Leave out the entries with errors, so that what remains is checked in the same go; and the services' own numbers.

    The result has not been validated as a whole: sections may be empty.
    """
    wrong = {path[:2] for path in bad}
    named: dict[str, Any] = {
        section: {
            name: model.model_validate(value)
            for name, value in _entries(data, section).items()
            if (section, name) not in wrong
        }
        for section, model in _NAMED.items()
    }
    single: dict[str, Any] = {
        section: model()
        if any(path[:1] == (section,) for path in wrong)
        else model.model_validate(data.get(section, {}))
        for section, model in _SINGLE.items()
    }
    common = {
        name: None
        if (name,) in {path[:1] for path in wrong}
        else getattr(ServiceEntry.model_validate({name: data.get(name)}), name)
        for name in _OF_ALL_SERVICES
    }
    services = data.get("services")
    services = services if isinstance(services, list) else []
    kept = [i for i in range(len(services)) if ("services", i) not in wrong]
    sound = Cluster.model_construct(
        cluster=str(data.get("cluster")),
        _fields_set=None,
        **named,
        services=tuple(ServiceEntry.model_validate(services[i]) for i in kept),
        **single,
        **common,
    )
    return sound, kept


def _as_written(path: Path, document: Document) -> Path:
    """Leave out of a path what does not stand in the file: the field of an entry in its short form."""
    while path not in document.lines:
        path = path[:-1]
    return path


def _entries(data: dict[str, Any], section: str) -> dict[str, Any]:
    entries = data.get(section)
    return entries if isinstance(entries, dict) else {}


def _cross_check(cluster: Cluster, kept: Sequence[int], document: Document) -> list[Finding]:
    names = {section: frozenset(_entries(document.data, section)) for section in _NAMED}
    broken = frozenset(name for name in _NAMED if not isinstance(document.data.get(name, {}), dict))
    declared = Declared(**names, broken=broken)
    found: list[Finding] = []
    errors = 0
    for remark in check_all(cluster, declared):
        path = remark.path
        if path[0] == "services" and len(path) > 1:
            path = ("services", kept[int(path[1])], *path[2:])
        found.append(Finding(document.line(path), dotted(path), remark.wrong, remark.right, remark.severity))
        errors += found[-1].severity == "error"
        if errors > MOST_FINDINGS:
            break
    return found

"""The text of a cluster file -> the cluster and everything that can be found wrong with it, all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ValidationError

from .checks import Declared, check_all
from .findings import ClusterFileError, Finding, Path, dotted
from .model import Cluster
from .reader import Document, read
from .sections import DirectorEntry, InstanceEntry, Ipvs, RealServerEntry, VipEntry, Vrrp
from .services import ServiceEntry
from .short import Section
from .wording import path_of, word

_NAMED: Final[Mapping[str, type[Section]]] = {
    "directors": DirectorEntry,
    "real_servers": RealServerEntry,
    "vips": VipEntry,
    "instances": InstanceEntry,
}
_SINGLE: Final[Mapping[str, type[Section]]] = {"vrrp": Vrrp, "ipvs": Ipvs}


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
    return Checked(None, errors) if errors else Checked(cluster, found)


def _validate(document: Document) -> tuple[Cluster | None, list[Finding]]:
    try:
        cluster = Cluster.model_validate(document.data)
    except ValidationError as error:
        findings = _model_findings(document, error)
        if isinstance(document.data, dict):
            sound, kept = _sound_part(document.data, {path_of(detail) for detail in error.errors(include_url=False)})
            findings += _cross_check(sound, kept, document)
        return None, findings
    return cluster, _cross_check(cluster, range(len(cluster.services)), document)


def _model_findings(document: Document, error: ValidationError) -> list[Finding]:
    found = []
    for detail in error.errors(include_url=False):
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
    services = data.get("services")
    services = services if isinstance(services, list) else []
    kept = [i for i in range(len(services)) if ("services", i) not in wrong]
    sound = Cluster.model_construct(
        cluster=str(data.get("cluster")),
        _fields_set=None,
        **named,
        services=tuple(ServiceEntry.model_validate(services[i]) for i in kept),
        **single,
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
    found = []
    for remark in check_all(cluster, declared):
        path = remark.path
        if path[0] == "services":
            path = ("services", kept[int(path[1])], *path[2:])
        severity: Literal["error", "warning"] = "warning" if remark.warning else "error"
        found.append(Finding(document.line(path), dotted(path), remark.wrong, remark.right, severity))
    return found

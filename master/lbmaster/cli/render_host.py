"""What would be on one host, as a page and as a document for programs: its resources in the words of the tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from lbmaster.offline import HostView
from lbstates import ipvsadm_save
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.kind import Resource
from lbstates.kinds.registry import KIND_OF, KINDS
from lbstates.kinds.sysctl import Sysctl

from .page import Line, Page

INDENT: Final = 2
TABLE: Final = ("service", "destination")
"""The kinds that are shown together, as ipvsadm writes them."""
_ROLES: Final = {"realserver": "real server"}
_TITLES: Final = {"keepalived": "keepalived.conf"}


def host_page(view: HostView) -> Page:
    """Show a host's resources, one section per kind, in the order in which they are put."""
    roles = " and ".join(_ROLES.get(role, role) for role in view.roles)
    lines = [Line(f"{view.host}: {roles} of the cluster {view.cluster}", "bold")]
    if view.assumed:
        taken = ", ".join(f"{what} {value}" for what, value in view.assumed.items())
        lines.append(Line(f"Assumed, because only the host itself knows: {taken}", "warn"))
    for title, section in _sections(view.resources):
        lines += [Line(), Line(f"{title}:", "bold"), *(Line(text, indent=INDENT if text else 0) for text in section)]
    if view.masqueraded:
        lines += [
            Line(),
            Line("Masquerading needs nothing of lbmaster here; the default route must lead to a director."),
        ]
    elif not view.resources:
        lines.append(Line("Nothing: no service needs this host."))
    return tuple(lines)


def host_document(view: HostView) -> dict[str, Any]:
    """The same for programs: the specifications by kind, the table for `ipvsadm -R`, the text of keepalived.conf."""
    resources: dict[str, list[Any]] = {kind.name: [] for kind in KINDS}
    for resource in view.resources:
        specification = msgspec.to_builtins(resource)
        specification.pop("type", None)
        resources[KIND_OF[type(resource)].name].append({"identity": resource.identity, **specification})
    configurations = [resource.shown for resource in view.resources if isinstance(resource, Keepalived)]
    return {
        "host": view.host,
        "cluster": view.cluster,
        "roles": list(view.roles),
        "assumed": view.assumed,
        "resources": {name: found for name, found in resources.items() if found},
        "ipvsadm": ipvsadm_save.save(view.resources, thresholds=True),
        "keepalived_conf": configurations[0] if configurations else None,
    }


def _sections(resources: Sequence[Resource]) -> Iterator[tuple[str, list[str]]]:
    for kind in KINDS:
        found = [resource for resource in resources if type(resource) is kind.specification]
        if found and kind.name == TABLE[0]:
            yield "ipvsadm -Sn", ipvsadm_save.save(resources, thresholds=True)
        elif found and kind.name not in TABLE:
            yield _TITLES.get(kind.name, kind.name), [line for resource in found for line in _lines(resource)]


def _lines(resource: Resource) -> list[str]:
    match resource:
        case Keepalived():
            return resource.shown.splitlines()
        case Sysctl():
            return [f"{resource.key} = {resource.value}"]
        case _:
            named = "" if resource.identity == KIND_OF[type(resource)].name else resource.identity
            return [": ".join(part for part in (named, resource.describe()) if part)]

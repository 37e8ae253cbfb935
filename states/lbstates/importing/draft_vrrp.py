"""The VRRP instances of the cluster file in the making: what they have in common, and what each has of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from .merge import Merged, Together
from .names import Names, as_name
from .page import Draft
from .remarks import Notebook

_OUR_DEFAULTS: Final[dict[str, Any]] = {
    "interface": None,
    "advert_interval": 1,
    "version": 3,
    "auth_pass": None,
    "preempt": True,
    "preempt_delay": 0,
    "track_interfaces": [],
}


def add(draft: Draft, merged: Merged, unheld6: Sequence[str], notes: Notebook) -> None:
    """Add `vrrp` and `instances`; `unheld6` are instances of IPv6 VIPs that were made for services."""
    _vrrp(draft, merged, unheld6, notes)
    _instances(draft, merged, unheld6, notes)


def own_interfaces(merged: Merged) -> dict[str, str]:
    """Find the interface of each director where all have one of their own, and not the same."""
    used: dict[str, set[str | None]] = {}
    for together in merged.instances:
        for director, instance in together.parts:
            used.setdefault(director, set()).add(instance.interface)
    alone = {director: next(iter(names)) for director, names in used.items() if len(names) == 1}
    if len(alone) != len(used) or len(set(alone.values())) < 2:  # noqa: PLR2004
        return {}
    return {director: name for director, name in alone.items() if name is not None}


def instance_name(together: Together) -> str:
    """Name an instance in the words of a cluster file."""
    return as_name(together.name)


def _fields_of(together: Together) -> dict[str, Any]:
    chosen, first = together.strongest[1], together.first
    return {
        "interface": first.interface,
        "advert_interval": first.advert_interval,
        "version": first.version,
        "auth_pass": first.auth_pass,
        "preempt": chosen.preempt,
        "preempt_delay": chosen.preempt_delay,
        "track_interfaces": list(first.track_interfaces),
    }


def _vrrp(draft: Draft, merged: Merged, unheld6: Sequence[str], notes: Notebook) -> None:
    """Write for all instances what most of them say."""
    vrrp: dict[str, Any] = {}
    rows = [_fields_of(together) for together in merged.instances]
    if own_interfaces(merged):
        rows = [{**row, "interface": None} for row in rows]
    for name, default in _OUR_DEFAULTS.items():
        common = _most_common([row[name] for row in rows], default)
        unset = any(row[name] is None for row in rows) or (unheld6 and name == "auth_pass")
        if common != default and not (unset and name in ("auth_pass", "interface")):
            vrrp[name] = common
    if any(together.first.unicast for together in merged.instances):
        vrrp["mode"] = "unicast"
    for together in merged.instances:
        if "mode" in vrrp and not together.first.unicast:
            said = f"{together.name} used multicast, and a cluster has one mode: unicast"
            notes.guessed(together.first.place, "vrrp_instance", said, "no action is needed")
    garp = [dict(together.first.garp) for together in merged.instances]
    if any(garp):
        vrrp["garp"] = _most_common([one for one in garp if one], {})
        for together in merged.instances:
            if dict(together.first.garp) != vrrp["garp"]:
                said = f"{together.name} had other settings, and a cluster has one set"
                notes.guessed(together.first.place, "garp_master_delay", said, "check `vrrp.garp`")
    draft.data["vrrp"] = vrrp or None


def _most_common(values: Sequence[Any], default: object) -> Any:  # noqa: ANN401 - whatever the field has
    counted = Counter(map(repr, values))
    if not counted:
        return default
    wanted = counted.most_common(1)[0][0]
    return next(value for value in values if repr(value) == wanted)


def _instances(draft: Draft, merged: Merged, unheld6: Sequence[str], notes: Notebook) -> None:
    entries: dict[str, Any] = {}
    names = Names()
    vrrp = draft.data.get("vrrp") or {}
    own = bool(own_interfaces(merged))
    group_of, home_of = _sync_groups(merged)
    for together in merged.instances:
        name = names.unique(instance_name(together))
        first = together.first
        if not own and len({part.interface for _, part in together.parts}) > 1:
            used = ", ".join(f"{director} {part.interface}" for director, part in together.parts)
            said = f"the directors use different interfaces ({used}), and the first one was taken"
            notes.contradicted(
                first.place, f"vrrp_instance {together.name}", said, "give each director its `interface`"
            )
        entry: dict[str, Any] = {}
        home = home_of.get(together.name, together.home)
        if home is not None:
            entry["home"] = home
        if first.virtual_router_id is not None:
            entry["virtual_router_id"] = first.virtual_router_id
        entry |= {
            key: value
            for key, value in _fields_of(together).items()
            if value != vrrp.get(key, _OUR_DEFAULTS[key]) and not (own and key == "interface")
        }
        if together.name in group_of:
            entry["sync_group"] = group_of[together.name]
        if first.routes:
            entry["routes"] = [
                _said(
                    to=one.to,
                    via=one.via,
                    interface=one.interface,
                    table=one.table,
                    source=one.source,
                    metric=one.metric,
                )
                for one in first.routes
            ]
        if first.rules:
            entry["rules"] = [
                _said(source=one.source, to=one.to, table=one.table, priority=one.priority) for one in first.rules
            ]
        entries[name] = entry
        draft.remark(("instances", name), f"from {', '.join(str(part.place) for _, part in together.parts)}")
        priorities = ", ".join(f"{director} {part.priority}" for director, part in together.parts)
        draft.remark(("instances", name), f"its priorities were {priorities}; lbmaster computes its own")
        kept = dict.fromkeys(text for _, part in together.parts for text in part.kept)
        draft.remark(("instances", name), *(f"not imported: {text}" for text in kept))
    if vrrp.get("version", _OUR_DEFAULTS["version"]) != _OUR_DEFAULTS["version"]:
        entries |= {name: {"version": _OUR_DEFAULTS["version"]} for name in unheld6}
    draft.data["instances"] = entries or None


def _said(**fields: object) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value is not None}


def _sync_groups(merged: Merged) -> tuple[dict[str, str], dict[str, str | None]]:
    """Return each member's group, and the home that the group's members share."""
    names = Names()
    group_of: dict[str, str] = {}
    home_of: dict[str, str | None] = {}
    known = {together.name: together for together in merged.instances}
    for group in merged.groups:
        name = names.unique(as_name(group.name))
        members = [known[member] for member in group.members if member in known]
        for member in members:
            group_of.setdefault(member.name, name)
            home_of.setdefault(member.name, members[0].home)
    return group_of, home_of

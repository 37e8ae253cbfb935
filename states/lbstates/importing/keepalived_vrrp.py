"""vrrp_instance and vrrp_sync_group of keepalived.conf -> instances and sync groups."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import Any, Final

from lbstates import words

from . import values
from .blocks import KEPT, Drop, Field, Table, drops, first, read_block
from .keepalived_routes import read_routes, read_rules
from .neutral import Instance, SyncGroup, Vip
from .remarks import Notebook
from .tree import Statement
from .values import Wrong

SCRIPTS: Final = Drop(
    "scripts are not run", "subscribe to the events instead (`lbmaster events`, docs/alerting.md)", keep=True
)
MAIL: Final = Drop("no mail is sent", "subscribe to the events instead (docs/alerting.md)")
_TRACKED: Final = Drop("only interfaces are tracked", "see whether the loss of the interface is enough", keep=True)
_MAC: Final = Drop("virtual MAC addresses are not supported", "the VIP answers with the interface's own", keep=True)
_OWN: Final = Drop("lbmaster has no such setting", "no action is needed, unless you know that you use it", keep=True)

_VERSION_2: Final = 2
_VERSION_3: Final = 3
_LONGEST: Final = 40.95
_OPTIONS_WITH_VALUE: Final = frozenset({"brd", "broadcast", "scope", "label", "peer", "preferred_lft", "track_group"})
_OPTIONS: Final = frozenset({"home", "-nodad", "mngtmpaddr", "noprefixroute", "autojoin", "no_track", "use_vmac"})

GARP: Final = {
    "garp_master_delay": "delay",
    "garp_master_repeat": "repeat",
    "garp_master_refresh": "refresh",
    "garp_master_refresh_repeat": "refresh_repeat",
    "garp_lower_prio_delay": "lower_priority_delay",
    "garp_lower_prio_repeat": "lower_priority_repeat",
}
"""keepalived's keyword -> the field of `vrrp.garp`."""


def read_garp(statement: Statement) -> tuple[str, int]:
    """Read one garp keyword, of an instance or (with `vrrp_` before it) of all; raises `Wrong` where keepalived ignores it."""
    field = GARP[statement.keyword.removeprefix("vrrp_")]
    if field in ("repeat", "refresh_repeat"):
        return field, max(1, values.integer(first(statement), 0, words.MAX_ANNOUNCEMENTS))  # as keepalived takes it
    if field == "lower_priority_repeat":
        return field, values.integer(first(statement), 0, words.MAX_ANNOUNCEMENTS)
    return field, values.whole_seconds(first(statement), 0, 86_400 if field == "refresh" else words.MAX_GARP_DELAY)


def _addresses(statement: Statement) -> list[tuple[Statement, Vip | Wrong]]:
    found: list[tuple[Statement, Vip | Wrong]] = []
    for line in statement.block or ():
        try:
            found.append((line, _vip(line)))
        except Wrong as error:
            found.append((line, error))
    return found


def _vip(line: Statement) -> Vip:
    written, slash, length = line.keyword.partition("/")
    bare = values.address(written)
    prefix = values.integer(length, 1, ipaddress.ip_address(bare).max_prefixlen) if slash else None
    interface = None
    arguments = iter(line.arguments)
    for word in arguments:
        if word == "dev":
            interface = values.interface(next(arguments, ""))
        elif word in _OPTIONS_WITH_VALUE:
            next(arguments, None)
        elif word not in _OPTIONS:
            raise Wrong(f"{values.shown(word)} is no option of an address", "one address per line")
    return Vip(bare, prefix, interface, line.place)


def _authentication(statement: Statement) -> dict[str, str]:
    return {line.keyword: first(line) for line in statement.block or ()}


def _peers(statement: Statement) -> list[str]:
    return [values.address(line.keyword) for line in statement.block or ()]


def _tracked(statement: Statement) -> list[Statement]:
    return list(statement.block or ())


def _lines(statement: Statement) -> list[Statement]:
    return list(statement.block or ())


_FIELDS: Final = {
    "state": Field("state", lambda s: first(s).upper()),
    "interface": Field("interface", lambda s: values.interface(first(s))),
    "virtual_router_id": Field("virtual_router_id", lambda s: values.integer(first(s), 1, words.MAX_VRID)),
    "priority": Field("priority", lambda s: values.integer(first(s), 1, 255)),
    "advert_int": Field("advert_interval", lambda s: values.seconds(first(s), 0.01, 255)),
    "version": Field("version", lambda s: values.integer(first(s), _VERSION_2, _VERSION_3)),
    "authentication": Field("authentication", _authentication),
    "nopreempt": Field("nopreempt", lambda _: True),
    "preempt": Field("nopreempt", lambda _: False),
    "preempt_delay": Field("preempt_delay", lambda s: values.seconds(first(s), 0, 1_000)),
    "mcast_src_ip": Field("source", lambda s: values.address(first(s))),
    "unicast_src_ip": Field("unicast_source", lambda s: values.address(first(s))),
    "unicast_peer": Field("peers", _peers),
    "virtual_ipaddress": Field("addresses", _addresses, many=True),
    "virtual_ipaddress_excluded": Field("excluded", _addresses, many=True),
    "track_interface": Field("tracked", _tracked, many=True),
    "virtual_routes": Field("routes", _lines, many=True),
    "virtual_rules": Field("rules", _lines, many=True),
    # keepalived itself misspelled it, long ago.
    **dict.fromkeys(
        ("lvs_sync_daemon_interface", "lvs_sync_daemon_inteface"),
        Field("sync", lambda s: values.interface(first(s))),
    ),
    **{keyword: Field("garp", read_garp, many=True) for keyword in GARP},
}

_NOTIFY: Final = (
    *("notify", "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify_deleted"),
    "notify_master_rx_lower_pri",
)

_TABLE: Final = Table(
    "in a vrrp_instance",
    _FIELDS,
    {
        **drops(SCRIPTS, *_NOTIFY),
        **drops(MAIL, "smtp_alert"),
        **drops(_TRACKED, "track_script", "track_file", "track_process", "track_bfd", "track_src_ip"),
        **drops(_MAC, "use_vmac", "use_vmac_addr", "vmac_xmit_base", "use_ipvlan", "vrf"),
        **drops(
            _OWN,
            *("dont_track_primary", "mcast_dst_ip", "unicast_ttl", "unicast_fault_no_peer", "check_unicast_src"),
            *("old_unicast_checksum", "garp_extra_if", "garp_extra_if_vmac", "down_timer_adverts"),
            *("lower_prio_no_advert", "higher_prio_send_advert", "accept", "no_accept", "strict_mode"),
            *("skip_check_adv_addr", "kernel_rx_buf_size", "linkbeat_use_polling", "promote_secondaries"),
        ),
    },
    frozenset({"native_ipv6", "debug", "notify_priority_changes"}),
)

_GROUP: Final = Table(
    "in a vrrp_sync_group",
    {"group": Field("members", lambda s: [word for line in s.block or () for word in line.words], many=True)},
    {
        **drops(SCRIPTS, *_NOTIFY),
        **drops(MAIL, "smtp_alert"),
        **drops(_TRACKED, "track_interface", "track_script", "track_file", "track_process", "track_bfd"),
        **drops(_OWN, "global_tracking", "sync_group_tracking_weight"),
    },
    frozenset({"notify_priority_changes"}),
)


def read_instance(
    statement: Statement, notes: Notebook, version: int, defaults: dict[str, int]
) -> tuple[tuple[Instance, ...], str | None]:
    """Read a vrrp_instance; `version` and `defaults` (of garp) are those of global_defs.

    Nothing for one without name or VIP, two where it has VIPs of both families: the first is of the family that its
    adverts have. Beside them: the interface of its IPVS sync daemon, if it wants one.
    """
    place = statement.place
    if not statement.arguments:
        notes.wrong(place, "vrrp_instance", "it has no name", "write one behind vrrp_instance")
        return (), None
    found = read_block(statement.block or (), _TABLE, notes)
    vips = _usable(found.get("addresses", []), notes) + _usable(found.get("excluded", []), notes)
    if not vips:
        notes.wrong(place, "vrrp_instance", "it has no address that can be used", "add a virtual_ipaddress")
        return (), found.get("sync")
    kept = found.get(KEPT, [])
    six = ":" in vips[0].address
    used = _VERSION_3 if six else found.get("version", version)
    preempt, delay = _preemption(statement, found, notes)
    instance = Instance(
        name=statement.arguments[0],
        place=place,
        vips=tuple(vip for vip in vips if (":" in vip.address) == six),
        interface=found.get("interface"),
        virtual_router_id=found.get("virtual_router_id"),
        priority=found.get("priority", 100),
        advert_interval=_advert_interval(statement, found, used, notes),
        version=used,
        auth_pass=_auth_pass(statement, found.get("authentication", {}), used, notes),
        preempt=preempt,
        preempt_delay=delay,
        source=found.get("unicast_source", found.get("source")),
        peers=tuple(found.get("peers", ())),
        unicast=bool(found.get("peers")),
        track_interfaces=_interfaces(found.get("tracked", []), notes, kept),
        routes=read_routes(found.get("routes", []), notes, kept),
        rules=read_rules(found.get("rules", []), notes, kept),
        garp=tuple({**defaults, **dict(found.get("garp", ()))}.items()),
        kept=tuple(kept),
    )
    others = tuple(vip for vip in vips if (":" in vip.address) != six)
    return (instance, *_other_family(instance, others, notes)), found.get("sync")


def _other_family(instance: Instance, vips: tuple[Vip, ...], notes: Notebook) -> tuple[Instance, ...]:
    if not vips:
        return ()
    name = f"{instance.name}-{'6' if ':' in vips[0].address else '4'}"
    said = f"its VIPs of the other family became the instance {name}, in one sync group with it"
    notes.guessed(vips[0].place, f"vrrp_instance {instance.name}", said, "no action is needed")
    plain = replace(instance, name=name, vips=vips, virtual_router_id=None, routes=(), rules=(), kept=())
    return (replace(plain, version=_VERSION_3, auth_pass=None, source=None, peers=()),)


def read_group(statement: Statement, notes: Notebook) -> SyncGroup | None:
    """Read a vrrp_sync_group; None for one without name or members."""
    found = read_block(statement.block or (), _GROUP, notes)
    members = tuple(name for block in found.get("members", []) for name in block)
    if statement.arguments and members:
        return SyncGroup(statement.arguments[0], statement.place, members)
    notes.dropped(statement.place, "vrrp_sync_group", "it has no name or no members", "write group { NAMES }")
    return None


def _usable(blocks: list[list[tuple[Statement, Vip | Wrong]]], notes: Notebook) -> tuple[Vip, ...]:
    found: dict[str, Vip] = {}
    for line, vip in (entry for block in blocks for entry in block):
        if isinstance(vip, Wrong):
            notes.wrong(line.place, line.keyword, f"{vip.wrong}, so it is left out", vip.right)
        elif vip.address in found:
            notes.dropped(line.place, line.keyword, "the address stands here again", "keep one of the two")
        else:
            found[vip.address] = vip
    return tuple(found.values())


def _preemption(statement: Statement, found: dict[str, Any], notes: Notebook) -> tuple[bool, int]:
    """Resolve nopreempt and preempt_delay as keepalived does: neither works with `state MASTER`."""
    preempt, delay = not found.get("nopreempt", False), found.get("preempt_delay", 0)
    if found.get("state") == "MASTER" and (not preempt or delay):
        said = "nopreempt and preempt_delay do nothing with state MASTER, and are left out"
        notes.guessed(statement.place, "nopreempt", said, "set `preempt: false` if it was meant")
        return True, 0
    if not preempt and delay:
        notes.dropped(statement.place, "preempt_delay", "it does nothing with nopreempt", "choose one of the two")
        return False, 0
    if delay % 1:
        notes.guessed(statement.place, "preempt_delay", f"{delay:g} s became {int(delay) + 1} s", "no action is needed")
        return preempt, int(delay) + 1
    return preempt, int(delay)


def _advert_interval(statement: Statement, found: dict[str, Any], version: int, notes: Notebook) -> float:
    interval: float = found.get("advert_interval", 1.0)
    if version == _VERSION_2 and interval % 1:
        whole = min(max(1, int(interval + 0.5)), int(_LONGEST))
        said = f"{interval:g} s became {whole} s, because VRRP version 2 has whole seconds"
        notes.guessed(statement.place, "advert_int", said, "use version 3 for shorter intervals")
        return whole
    longest = int(_LONGEST) if version == _VERSION_2 else _LONGEST
    if interval > longest:
        notes.guessed(
            statement.place,
            "advert_int",
            f"{interval:g} s became {longest:g} s, the longest",
            "no action is needed",
        )
        return longest
    hundredths = max(0.01, round(interval, 2))
    if version == _VERSION_3 and hundredths != interval:
        said = f"{interval:g} s became {hundredths:g} s: VRRP version 3 counts hundredths"
        notes.guessed(statement.place, "advert_int", said, "no action is needed")
        return hundredths
    return interval


def _auth_pass(statement: Statement, given: dict[str, str], version: int, notes: Notebook) -> str | None:
    secret = given.get("auth_pass")
    if not given or (given.get("auth_type", "PASS").upper() == "PASS" and secret is None):
        return None
    if given.get("auth_type", "PASS").upper() != "PASS":
        notes.dropped(statement.place, "auth_type", "AH is not supported", "use VRRP version 3 without authentication")
        return None
    if version == _VERSION_3:
        notes.dropped(
            statement.place, "auth_pass", "VRRP version 3 has no password", "no action is needed: it was never sent"
        )
        return None
    text = secret or ""
    if len(text) > words.MAX_AUTH_PASS:
        said = "keepalived uses the first 8 characters of the password, and so does the cluster file"
        notes.guessed(statement.place, "auth_pass", said, "no action is needed")
        text = text[: words.MAX_AUTH_PASS]
    if not re.fullmatch(words.AUTH_PASS, text):
        said = "the password has characters that are not supported, and is left out"
        notes.wrong(statement.place, "auth_pass", said, "use letters, digits and . _ : + - on all directors, or none")
        return None
    return text


def _interfaces(blocks: list[list[Statement]], notes: Notebook, kept: list[str]) -> tuple[str, ...]:
    found = []
    for line in (line for block in blocks for line in block):
        weight = line.arguments[1] if line.arguments[:1] == ("weight",) and len(line.arguments) > 1 else "0"
        try:
            name = values.interface(line.keyword)
        except Wrong as error:
            notes.dropped(line.place, "track_interface", error.wrong, error.right)
            continue
        if weight == "0":
            found.append(name)
            continue
        said = f"{name} has a weight, and interfaces are tracked without"
        notes.dropped(line.place, "track_interface", said, "add it to track_interfaces if its loss shall cost the VIP")
        kept.append(f"track_interface {{ {line.text()} }}")
    return tuple(dict.fromkeys(found))

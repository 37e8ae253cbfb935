"""keepalived.conf -> what one director says: reads the file, its global definitions, and leaves the rest to its readers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from . import keepalived_lvs as lvs
from . import keepalived_vrrp as vrrp
from . import values
from .blocks import KEPT, Drop, Field, Table, drops, read_block
from .lines import Reader
from .neutral import Source, SyncGroup
from .remarks import Files, Notebook, Place, count
from .tree import Statement, build
from .values import Wrong

_PROCESS: Final = Drop("how keepalived runs is the minion's business", "no action is needed")
_FIREWALL: Final = Drop("lbmaster makes no such rules", "see whether your firewall needs them", keep=True)
_STATIC: Final = Drop(
    "static addresses, routes and rules belong to the host's network configuration", "put them there", keep=True
)
_DEFINITION: Final = Drop("only interfaces are tracked", "see whether that is enough", keep=True)
_NO_CERTIFICATE: Final = Drop(
    "an https check shows no certificate of its own", "see whether the server asks for one", keep=True
)
_OTHER: Final = Drop("lbmaster has no such setting", "no action is needed, unless you know that you use it", keep=True)

_GARP: Final = {f"vrrp_{keyword}": Field("garp", vrrp.read_garp, many=True) for keyword in vrrp.GARP}


def _pairs(statement: Statement) -> dict[str, int]:
    found = {}
    arguments = iter(statement.arguments)
    for word in arguments:
        if word not in ("tcp", "tcpfin", "udp"):
            raise Wrong(f"{values.shown(word)} is no timeout", "write tcp, tcpfin or udp")
        found[word] = values.integer(next(arguments, ""), 1, values.MAX_TIMEOUT)
    return found


_SYNC: Final = {
    "id": ("id", 0, 255),
    "maxlen": ("maximum_length", 128, 65_507),
    "port": ("port", 1, 65_535),
    "ttl": ("ttl", 1, 255),
}


def _sync(statement: Statement) -> dict[str, int | str]:
    if not statement.arguments:
        raise Wrong("the interface is missing", "write it behind lvs_sync_daemon")
    found: dict[str, int | str] = {"interface": values.interface(statement.arguments[0])}
    arguments = iter(statement.arguments[1:])
    for word in arguments:
        if word in _SYNC:
            name, low, high = _SYNC[word]
            found[name] = values.integer(next(arguments, ""), low, high)
        elif word == "group":
            found["group"] = values.address(next(arguments, ""))
        elif word == "inst":
            found["instance"] = next(arguments, "")
        else:
            found["instance"] = word
    return found


_GLOBAL: Final = Table(
    "in global_defs",
    {
        "vrrp_version": Field("version", lambda s: values.integer(" ".join(s.arguments[:1]), 2, 3)),
        "lvs_timeouts": Field("timeouts", _pairs, many=True),
        "lvs_sync_daemon": Field("sync", _sync),
        "vrrp_min_garp": Field("min_garp", lambda s: values.truth(s.arguments)),
        **_GARP,
    },
    {
        **drops(
            vrrp.MAIL,
            *("notification_email", "notification_email_from", "smtp_server", "smtp_connect_timeout", "smtp_helo_name"),
            *("smtp_alert", "smtp_alert_vrrp", "smtp_alert_checker", "no_email_faults"),
        ),
        **drops(
            vrrp.SCRIPTS,
            *("notify_fifo", "notify_fifo_script", "vrrp_notify_fifo", "vrrp_notify_fifo_script", "lvs_notify_fifo"),
            *("lvs_notify_fifo_script", "startup_script", "shutdown_script"),
        ),
        **drops(
            _FIREWALL,
            *("vrrp_iptables", "vrrp_ipsets", "nftables", "nftables_priority", "nftables_counters", "nftables_ifindex"),
            *("nftables_ipvs", "nftables_ipvs_priority", "nftables_ipvs_start_fwmark"),
        ),
        **drops(
            _OTHER,
            *("vrrp_mcast_group4", "vrrp_mcast_group6", "vrrp_garp_interval", "vrrp_gna_interval", "vrrp_strict"),
            *("vmac_prefix", "vmac_addr_prefix"),
            *("vrrp_garp_extra_if", "vrrp_lower_prio_no_advert", "vrrp_higher_prio_send_advert"),
            *("vrrp_down_timer_adverts", "vrrp_check_unicast_src", "vrrp_skip_check_adv_addr", "dynamic_interfaces"),
            *("default_interface", "disable_local_igmp", "net_namespace", "net_namespace_ipvs", "instance"),
        ),
        **drops(
            _PROCESS,
            *("lvs_flush", "lvs_flush_on_stop", "child_wait_time", "enable_dbus", "dbus_service_name", "use_pid_dir"),
            *("process_names", "process_name", "vrrp_process_name", "checker_process_name", "bfd_process_name"),
            *("enable_snmp_vrrp", "enable_snmp_checker", "enable_snmp_rfc", "enable_snmp_rfcv2", "enable_snmp_rfcv3"),
            *("enable_snmp_keepalived", "enable_traps", "snmp_socket", "linkbeat_use_polling", "umask", "reload_file"),
            *("reload_check_config", "reload_time_file", "reload_repeat", "data_use_instance", "json_version"),
            *("config_save_dir", "tmp_config_directory", "include_check", "namespace_with_ipsets", "random_seed"),
            *("startup_script_timeout", "shutdown_script_timeout", "fifo_write_vrrp_states_on_reload"),
            *("vrrp_notify_priority_changes", "checker_log_all_failures", "vrrp_startup_delay"),
            *("max_auto_priority", "min_auto_priority_delay", "vrrp_rx_bufs_policy", "vrrp_rx_bufs_multiplier"),
            *(
                f"{process}_{setting}"
                for process in ("vrrp", "checker", "bfd")
                for setting in ("priority", "no_swap", "cpu_affinity", "rt_priority", "rlimit_rttime", "rlimit_rtime")
            ),
            *(
                f"{process}_netlink_{kind}_rcv_bufs{force}"
                for process in ("vrrp", "lvs")
                for kind in ("cmd", "monitor")
                for force in ("", "_force")
            ),
            *("process_monitor_rcv_bufs", "process_monitor_rcv_bufs_force", "log_unknown_vrids"),
            *("rs_init_notifies", "no_checker_emails", "lvs_use_pid_dir"),
        ),
    },
    frozenset({"router_id", "lvs_id", "script_user", "enable_script_security"}),
)

_READ_HERE: Final = ("global_defs", "vrrp_instance", "vrrp_sync_group", "virtual_server", "virtual_server_group")
_TOP: Final = Table(
    "here",
    {keyword: Field(keyword, lambda s: s, many=True) for keyword in _READ_HERE},
    {
        **drops(_STATIC, "static_ipaddress", "static_routes", "static_route", "static_rules", "track_group"),
        **drops(
            _DEFINITION,
            "vrrp_script",
            "vrrp_track_process",
            "track_process",
            "vrrp_track_file",
            "track_file",
            "bfd_instance",
        ),
        **drops(_OTHER, "garp_group", "interface_up_down_delays"),
        **drops(_NO_CERTIFICATE, "SSL"),
        **drops(
            _PROCESS,
            *("net_namespace", "net_namespace_ipvs", "namespace_with_ipsets", "instance", "use_pid_dir"),
            *("linkbeat_use_polling", "linkbeat_interfaces", "child_wait_time", "include_check"),
        ),
    },
)


def read_keepalived(director: str, name: str, text: str, config_id: str, files: Files, notes: Notebook) -> Source:
    """Read one director's keepalived.conf; raises `CannotImport` for what never ends or is too deep."""
    reader = Reader(files, notes, config_id)
    source = Source(director, Place(name, 0), "keepalived.conf")
    top = read_block(build(reader.read(name, text), notes), _TOP, notes)
    if reader.conditional:
        said = f"lines that begin with @ were read as keepalived does with the config-id {config_id}"
        notes.guessed(source.place, "@", said, f"give another one with --config-id {director}=ID")
    source.kept += top.get(KEPT, [])
    found = _globals(top.get("global_defs", []), source, notes)
    source.networks += _networks(top.get(KEPT, []))
    for statement in top.get("vrrp_instance", []):
        _instance(statement, found.get("version", 2), source, notes)
    _sync_id(source)
    for statement in top.get("vrrp_sync_group", []):
        _group(statement, source, notes)
    source.groups += source.pairs
    groups: dict[str, tuple[lvs.GroupEntry, ...]] = {}
    for statement in top.get("virtual_server_group", []):
        groups[" ".join(statement.arguments[:1])] = lvs.read_group(statement, notes)
    for statement in top.get("virtual_server", []):
        for service in lvs.read_services(statement, groups, notes):
            source.services.append(service)
            said = f"{service.name} with {count(len(service.destinations), 'real server')}"
            notes.taken(service.place, "virtual_server", said)
    return source


def _globals(statements: list[Statement], source: Source, notes: Notebook) -> dict[str, Any]:
    found = read_block((line for statement in statements for line in statement.block or ()), _GLOBAL, notes)
    source.kept += found.get(KEPT, [])
    source.garp = dict(found.get("garp", ()))
    if found.get("min_garp"):
        source.garp = {"repeat": 1, "delay": 0, **source.garp}
    for timeouts in found.get("timeouts", []):
        source.timeouts |= timeouts
    source.sync = found.get("sync")
    if source.sync is not None and "instance" in source.sync:
        said = "both sync daemons run on every director, whatever the state of an instance"
        notes.guessed(statements[0].place, "lvs_sync_daemon", said, "no action is needed")
    return found


def _sync_id(source: Source) -> None:
    """Give the sync daemons the id that keepalived gives them: that of their instance, else 0."""
    if source.sync is None:
        return
    wanted = source.sync.pop("instance", None)
    ids = [one.virtual_router_id for one in source.instances if one.name == wanted]
    source.sync.setdefault("id", (ids[0] if ids else None) or 0)


def _instance(statement: Statement, version: int, source: Source, notes: Notebook) -> None:
    instances, sync = vrrp.read_instance(statement, notes, version, source.garp)
    if sync is not None and source.sync is None:
        source.sync = {"interface": sync, "instance": " ".join(statement.arguments[:1])}
        notes.guessed(
            statement.place,
            "lvs_sync_daemon_interface",
            "both sync daemons run on every director",
            "no action is needed",
        )
    for instance in instances:
        if any(other.name == instance.name for other in source.instances):
            said = f"there is a vrrp_instance {instance.name} before this one, and keepalived takes that"
            notes.dropped(instance.place, "vrrp_instance", said, "strike one of the two")
            return
        source.instances.append(instance)
        notes.taken(instance.place, "vrrp_instance", f"{instance.name} with {count(len(instance.vips), 'VIP')}")
    if len(instances) > 1:
        source.pairs.append(SyncGroup(instances[0].name, instances[0].place, tuple(one.name for one in instances)))


def _group(statement: Statement, source: Source, notes: Notebook) -> None:
    """Read a sync group; what belongs to one of its members belongs to it, too."""
    group = vrrp.read_group(statement, notes)
    if group is None:
        return
    inside = [pair for pair in source.pairs if set(pair.members) & set(group.members)]
    source.pairs = [pair for pair in source.pairs if pair not in inside]
    added = (name for pair in inside for name in pair.members)
    source.groups.append(replace(group, members=tuple(dict.fromkeys((*group.members, *added)))))
    notes.taken(group.place, "vrrp_sync_group", f"{group.name} is a sync group")


def _networks(kept: list[str]) -> list[str]:
    """Find the networks that static addresses name: they tell the prefix length of a VIP that has none."""
    return list(_slashed(" ".join(text for text in kept if text.startswith("static_ipaddress"))))


def _slashed(text: str) -> Iterator[str]:
    for word in text.replace(";", " ").split():
        if "/" in word:
            try:
                yield values.network(word)
            except Wrong:
                continue

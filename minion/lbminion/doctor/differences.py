"""What differs from the released state, as symptoms: the plan that would heal it, told by what each change means. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from lbstates.plan import Change, Plan

from .symptom import Symptom, error, warning

_HEAL = "the minion heals it within seconds while it runs; else: systemctl start lbminion"
_MEANS = {
    "address": ("S1", "what the director sends to this real server is dropped: requests hang"),
    "service": (
        "I1",
        "the director forwards other services than declared: somebody used ipvsadm, or it was never applied",
    ),
    "destination": ("I1", "the director forwards to other real servers than declared: somebody used ipvsadm"),
    "mark": ("I1", "packets are not marked for their virtual service: they pass it by"),
    "timeouts": ("I5", "connections are kept for another time than declared"),
    "sync_daemon": ("I11", "connections are cut at a failover: the other directors do not know them"),
    "module": ("I8", "after a reboot the module is not there, and its settings are lost"),
    "link": ("R4", "the tunnel device is not up: what the director wraps is dropped"),
    "gue_port": ("R4", "nobody unwraps what the director wraps: it is dropped"),
    "clamp": ("R5", "full segments do not fit through the tunnel: uploads stall"),
}
_SETTINGS = (
    ("/arp_", "R2", "neighbours may send the VIP's traffic here, past the director"),
    ("/rp_filter", "R4", "packets of tunnels or asymmetric routes are dropped without a trace"),
    ("net/ipv4/vs/backup_only", "R9", "packets may go in circles between directors"),
    (
        "net/ipv4/vs/",
        "I8",
        "IPVS does not run with the declared setting: it was set before the module, or changed by somebody",
    ),
    ("forward", "I7", "answers of real servers by masquerading are dropped"),
)


def judge(plan: Plan, *, held: bool) -> Iterable[Symptom]:
    """Tell each change; `held`: an operator stopped keepalived on purpose."""
    for change in plan:
        if change.kind == "keepalived":
            yield _keepalived(change, held=held)
        elif change.kind == "sysctl":
            yield _setting(change)
        elif change.kind == "address" and change.verb != "remove":
            continue  # `places` tells these, and what is there instead
        else:
            yield _other(change)


def _setting(change: Change) -> Symptom:
    pitfall, means = next(
        ((pitfall, means) for part, pitfall, means in _SETTINGS if part in change.identity),
        ("S7", "the host is not as declared"),
    )
    return error(pitfall, change.identity, _said(change), means, _HEAL)


def _other(change: Change) -> Symptom:
    pitfall, means = _MEANS.get(change.kind, ("S7", "the host is not as declared"))
    if change.verb == "remove":
        means = "it was taken out of the cluster file and is still here"
    return error(pitfall, f"{change.kind} {change.identity}", _said(change), means, _HEAL)


def _keepalived(change: Change, *, held: bool) -> Symptom:
    if held:
        return warning(
            "V14", "keepalived", "an operator stopped it, so the minion leaves it stopped",
            "this director takes no VIP: one less that can stand in",
            "systemctl start keepalived, or push again",
        )  # fmt: skip
    return error(
        "S6" if change.verb == "set" else "V14", "keepalived", _said(change),
        "it does not run with the declared configuration: the file was edited here, or it does not run", _HEAL,
    )  # fmt: skip


def _said(change: Change) -> str:
    """What is here, against what is declared."""
    now = "missing" if change.before is None else (change.before.describe() or "there")
    shall = "not be there" if change.after is None else (change.after.describe() or "be there")
    return f"{now}; it shall be: {shall}" if change.after is not None else f"{now}; it shall {shall}"

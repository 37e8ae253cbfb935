"""Who answers ARP for a VIP (R2), and whether this host still believes somebody else (V12). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from .symptom import Symptom, Symptoms, error, warning

_COMPLETE: Final = 0x2

_MEANS: Final = "packets to the VIP reach that host past the director: connections work sometimes, or are reset"


def neighbours(text: str) -> dict[str, str]:
    """Read /proc/net/arp: address -> MAC of the complete entries."""
    found = {}
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 6 and int(fields[2], 16) & _COMPLETE:  # noqa: PLR2004 - the table has six columns
            found[fields[0]] = fields[3].lower()
    return found


def judge_answers(
    vip: str, macs: AbstractSet[str], *, held: bool, directors: Mapping[str, str], others: Mapping[str, str]
) -> Symptoms:
    """Judge who answered for a VIP; `held`: this host is its MASTER, so nobody should.

    `directors` and `others` map MACs to the names of hosts (without this one). Where no director's MAC is known, only
    what no director could explain is wrong.
    """
    if held:
        return [_wrong(vip, mac, directors, others, held=True) for mac in sorted(macs)]
    if not macs:
        return [
            error(
                "V14", vip, "nobody answers ARP for it", "no director holds the VIP: clients cannot reach it",
                "see `lbmaster status`; on the directors: `systemctl status keepalived`, `lbminion plan`",
            )
        ]  # fmt: skip
    if not directors:
        return [_several(vip, macs)] if len(macs) > 1 else []
    wrong = sorted(mac for mac in macs if mac not in directors and not _virtual(mac))
    right = sorted(set(macs) - set(wrong))
    found = [_wrong(vip, mac, directors, others, held=False) for mac in wrong]
    if len(right) > 1:
        seen = "answered by " + " and ".join(f"{mac} ({directors.get(mac, 'virtual')})" for mac in right)
        found.append(_two_masters(vip, seen))
    return found


def _several(vip: str, macs: AbstractSet[str]) -> Symptom:
    return error(
        "R2", vip, f"answered by more than one MAC: {' '.join(sorted(macs))}", _MEANS,
        "find the hosts with these MACs; those that are not the MASTER: `lbminion doctor` there",
    )  # fmt: skip


def _wrong(vip: str, mac: str, directors: Mapping[str, str], others: Mapping[str, str], *, held: bool) -> Symptom:
    name = directors.get(mac) or others.get(mac, "")
    who = f"{mac} ({name or 'an unknown host'})"
    if mac in directors:
        return _two_masters(vip, f"this host holds it, and {who} answers ARP for it")
    seen = f"{who} answers ARP for it" + (", and this host holds it" if held else "")
    return error(
        "R2", vip, seen, _MEANS,
        f"on {name or 'the host with that MAC'}: sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2; "
        "is the VIP on another interface than lo there, remove it; then `ip neigh flush to` the VIP on the router",
    )  # fmt: skip


def _two_masters(vip: str, seen: str) -> Symptom:
    return error(
        "V1", vip, seen, "two directors are MASTER at once: clients reach either, by chance",
        "let the directors hear each other: allow IP protocol 112 (VRRP) between them, compare VRID and auth_pass",
    )  # fmt: skip


def _virtual(mac: str) -> bool:
    """A MAC of VRRP itself (use_vmac) belongs to whoever is MASTER."""
    return mac.startswith(("00:00:5e:00:01:", "00:00:5e:00:02:"))


def judge_neighbours(cached: Mapping[str, str], answers: Mapping[str, AbstractSet[str]]) -> Iterable[Symptom]:
    """Compare what this host believes of a VIP with what was answered just now."""
    for vip, macs in sorted(answers.items()):
        known = cached.get(vip)
        if known is not None and len(macs) == 1 and known not in macs:
            yield warning(
                "V12", vip, f"this host sends to {known}, but {min(macs)} answers for it",
                "the announcement of the last failover was lost, or another host answered since",
                f"ip neigh del {vip} dev INTERFACE here; `vrrp: {{garp: {{refresh: 60}}}}` in the cluster file announces again",
            )  # fmt: skip

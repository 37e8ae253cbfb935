"""Faults of whole machines: power cuts, and clocks."""

from __future__ import annotations

from typing import Final

from tests.faults.allowance import Losing
from tests.faults.fault import CALM, Course, Fault, told
from tests.faults.field import Act, Field

from story.cast import FIVE
from story.hosts import Unexpected
from story.steps import on_each

HOME, STANDBY = FIVE.directors
DAY: Final = 86400


def cut_power(host: str) -> Act:
    """Cut the power of a guest."""
    return lambda field: field.lab.crash(host)


def boot(host: str) -> Act:
    """Start it again, and wait until systemd has finished."""
    return lambda field: field.lab.boot(host)


def cut_power_after_events(field: Field) -> None:
    """Cut the master's power right after a subscriber has heard of events: they were acknowledged, so they have to stay."""
    since = field.subscriber.cursor
    on_each(lambda host: field.hosts.out(host, f"ip address del {field.cast.vip}/32 dev lo"), FIVE.real_servers)
    for host in FIVE.real_servers:
        field.heard("drift.healed", host, since=since)
    field.lab.crash(FIVE.master)


def nothing_acknowledged_lost(field: Field, _: Course) -> str:
    """See that the journal has all that a subscriber heard before."""
    wrong = field.lost_events()
    if wrong:
        raise Unexpected("events that were acknowledged are gone: " + "\n".join(wrong))
    return "the load's client was on this machine"


def shift(host: str, seconds: int, unit: str) -> Act:
    """Set a guest's clock, and kill the daemon that has to number its new life without it."""
    script = f"import time; time.clock_settime(0, time.clock_gettime(0) + {seconds})"

    def do(field: Field) -> None:
        since = field.subscriber.cursor
        field.hosts.out(host, f"python3 -c '{script}'")
        field.signal(host, unit, "KILL")
        if unit == "lbminion":
            field.heard("minion.started", host, since=since)

    return do


def _reboot(host: str, expect: str, losing: Losing, *, short: bool = False) -> Fault:
    return Fault(
        f"power cut and boot of {host}",
        expect,
        do=cut_power(host),
        undo=boot(host),
        losing=losing,
        meanwhile=(told("minion.lost", host=host),),
        after=(told("minion.online", host=host),),
        never=("vrrp.split_brain", "drift.unhealed", "state.refused"),
        short=short,
    )


FAULTS: Final = (
    _reboot(HOME, "The other director takes over, until this one is whole again.", Losing.FAILOVER, short=True),
    _reboot(STANDBY, "Nothing, but `minion.lost`.", Losing.NOTHING),
    _reboot(FIVE.real_servers[0], "Its share of the requests hangs until the checks take it out.", Losing.SHARE),
    _reboot(FIVE.real_servers[1], "Its share of the requests hangs until the checks take it out.", Losing.SHARE),
    Fault(
        f"power cut and boot of {FIVE.master}, the master",
        "Everything goes on without it. When it is back it has every event that it had acknowledged.",
        do=cut_power_after_events,
        random=False,
        undo=boot(FIVE.master),
        never=CALM,
        look=nothing_acknowledged_lost,
    ),
    Fault(
        "clock of the active director set back a day",
        "Nothing. A minion that starts then numbers its events after those of before.",
        random=False,
        do=shift(HOME, -DAY, "lbminion"),
        undo=shift(HOME, DAY, "lbminion"),
        never=(*CALM, "drift.found"),
    ),
    Fault(
        "clock of the master set back a day",
        "Nothing but the times of its events.",
        random=False,
        do=shift(FIVE.master, -DAY, "lbmaster"),
        undo=shift(FIVE.master, DAY, "lbmaster"),
        never=(*CALM, "minion.lost"),
        lasts=8,
    ),
)

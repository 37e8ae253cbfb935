"""The fault of a cloned machine: a second minion with the name and the key of one that runs."""

from __future__ import annotations

from typing import Final

from tests.faults.fault import CALM, Course, Fault, told
from tests.faults.field import Field

from story.cast import FIVE
from story.hosts import Unexpected

CLONED, WHERE = FIVE.real_servers
"""Whose minion is copied, and the guest on which the copy runs, in a network of its own."""
ADDRESS: Final = "172.28.128.99"
_ROOT: Final = "/root/clone"
_CONFIG: Final = f"{_ROOT}/etc/lbminion/minion.toml"


def start(field: Field) -> None:
    """Copy settings, key and state of a minion as they are on its disk, and run a minion with them elsewhere."""
    copied = field.lab.run(CLONED, "tar -C / -c etc/lbminion var/lib/lbminion | base64 -w0", timeout=60).stdout
    own = rf'1i state_directory = "{_ROOT}/var/lib/lbminion"\nruntime_directory = "/run/clone"'
    lines = (
        f"mkdir {_ROOT}; base64 -d | tar -C {_ROOT} -x",
        f"sed -i '{own}' {_CONFIG}",
        "modprobe macvlan; ip netns add clone; ip link add clone0 link eth0 netns clone type macvlan mode bridge",
        "ip -n clone link set lo up; ip -n clone link set clone0 up",
        f"ip -n clone address add {ADDRESS}/24 dev clone0",
        f"systemd-run -q --collect --unit=clone -p NetworkNamespacePath=/run/netns/clone lbminion --config {_CONFIG} run",
    )
    field.hosts.out(WHERE, "set -e; " + "; ".join(lines), stdin=copied)


def end(field: Field) -> None:
    """End it, and remove what it had."""
    field.hosts.out(WHERE, f"systemctl stop clone; ip netns del clone; rm -rf {_ROOT} /run/clone")


def only_the_first_is_heard(field: Field, course: Course) -> str:
    """See that the event names both places, and that no life of the copy came into the journal."""
    events = field.subscriber.since(course.cursor)
    places = next(set(event["data"]["addresses"]) for event in events if event["type"] == "minion.duplicate")
    if places != {field.addresses[CLONED], ADDRESS}:
        raise Unexpected(f"both places of {CLONED}'s key to be named, but heard {places}")
    if any(event["type"] == "minion.started" for event in events):
        raise Unexpected("a copy of a minion was heard")
    return "both addresses named"


FAULTS: Final = (
    Fault(
        "duplicate minion: a clone with the key of a real server",
        "`minion.duplicate` and the status say where the two are; the first is heard, the other is not.",
        do=start,
        undo=end,
        meanwhile=(told("minion.duplicate", host=CLONED),),
        never=(*CALM, "minion.lost", "drift.found"),
        random=False,
        look=only_the_first_is_heard,
    ),
)

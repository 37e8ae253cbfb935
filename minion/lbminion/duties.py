"""What the minion does when something happens: a message, an occurrence at keepalived, an address that vanished.

Each happening becomes events for the journal and jobs for the reconciler. Nothing here touches the host.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Collection
from functools import lru_cache

from lbservice.keys import fingerprint
from lbstates.desired import decode_state
from lbstates.errors import BadState
from lbstates.keepalived_conf import vips
from lbstates.kinds.address import Address
from lbwire import events
from lbwire.envelope import signer
from lbwire.errors import Refused
from lbwire.inbox import Accepted, Inbox
from lbwire.messages import Ack, Beacon, Examine, Planned, Position, Reconcile, Release, Role, State, Successor, Trial

from .delivery import Delivery
from .holdings import Holdings
from .jobs import Look, Stage
from .jobs import Trial as TrialJob
from .keepalived import config_file
from .keepalived.control import Appeared, Ended, Occurrence, PutReport
from .keepalived.ends import End
from .keepalived.fifo import BadLine
from .keepalived.paths import KeepalivedPaths
from .keepalived.transitions import Transition
from .netlink.watch import What
from .planner import concerns
from .reconciler import Reconciler
from .trust import Trust

logger = logging.getLogger(__name__)

ASK_AGAIN_SECONDS = 3.0

# Asked at every transition, of a text that changes with a push: thousands of transitions come in a moment.
_vips = lru_cache(maxsize=1)(vips)


class Duties:
    """`hello` asks the master for what was missed; `report` raises an event; `examine` has the host looked at.

    `announce` takes VRRP instances: their VIPs are announced anew, as far as they are `held`.
    """

    def __init__(
        self,
        inbox: Inbox,
        holdings: Holdings,
        reconciler: Reconciler,
        delivery: Delivery,
        keepalived: KeepalivedPaths,
        report: Callable[[events.Data, str], object],
        hello: Callable[[], None],
        examine: Callable[[str, int], None],
        announce: Callable[[Collection[str]], None],
        trust: Trust,
    ) -> None:
        self._inbox, self._holdings, self._reconciler, self._delivery = inbox, holdings, reconciler, delivery
        self._keepalived, self._report, self._hello = keepalived, report, hello
        self._examine, self._announce, self._trust = examine, announce, trust
        self._refusals: dict[str, int] = {}
        self._unkept = False
        self._asked = 0.0
        self._made_up: dict[str, int] = {}
        self._skipped: dict[str, int] = {}
        self.roles: dict[str, Role] = {}

    # --- from the master ------------------------------------------------------------------------------------------

    def received(self, raw: bytes) -> None:
        """Judge a message, keep what has to be kept, and do what it says."""
        try:
            accepted = self._inbox.judge(raw, self._holdings.memory)
            self._believe(accepted, raw)
        except Refused as refusal:
            self._refusals[refusal.reason] = count = self._refusals.get(refusal.reason, 0) + 1
            # Powers of two: the first is told at once, and a flood costs the journal a few lines.
            if count & (count - 1) == 0:
                fresh = count - count // 2
                self._report(events.MessageRefused(refusal.reason, str(refusal), fresh), "")
            return
        try:
            self._holdings.keep(accepted, raw)
        except sqlite3.Error as error:
            # Not kept, so not done: the master sees that nothing came of it, and sends it again.
            logger.error("a %s cannot be kept: %s; is the disk full?", accepted.envelope.type, error)  # noqa: TRY400
            return
        self._obey(accepted)

    def _believe(self, accepted: Accepted, raw: bytes) -> None:
        """Take note of who signed it, and of the keys that the master will have. Raises `Refused`.

        Keys that the disk does not take come again with the next message. Those so far are trusted meanwhile, so what the
        message says is done: the master's acknowledgements need no disk, and are what makes room on it.
        """
        try:
            if self._trust.verified(signer(raw)):
                self._kept(self._trust.transports[0], "adopted")
            if isinstance(accepted.message, Successor) and self._trust.learn(accepted.message):
                self._kept(accepted.message.transport, "learned")
                self._hello()
        except sqlite3.Error as error:
            if not self._unkept:
                logger.error("the master's next keys cannot be kept: %s; is the disk full?", error)  # noqa: TRY400
            # Said once: until there is room, every beacon brings it anew.
            self._unkept = True

    def _kept(self, transport: bytes, how: str) -> None:
        self._unkept = False
        self._report(events.MasterSuccessor(fingerprint(transport), how), "")

    def _obey(self, accepted: Accepted) -> None:
        cluster, command = accepted.envelope.cluster, accepted.envelope.command
        match accepted.message:
            case State():
                self._reconciler.ask(Stage(cluster, accepted.envelope.generation))
                self._catch_up(cluster)
            case Release(hosts):
                if self._inbox.host in hosts:
                    self._release(cluster, accepted.envelope.generation)
            case Reconcile(reason, announced):
                self._reconciler.ask(Look(f"master: {reason}", cluster, command))
                self._announce(announced)
            case Examine():
                self._examine(cluster, command)
            case Trial(_, desired):
                self._try(cluster, command, desired)
            case Beacon(clusters):
                self._compare(clusters)
            case Ack(boot, sequence):
                self._delivery.acknowledged((boot, sequence))

    def _release(self, cluster: str, generation: int) -> None:
        if generation > self._holdings.holding(cluster).staged:
            self._hello()
            return
        if generation < self._holdings.released(cluster):
            return
        if self._holdings.skipped(cluster, generation, self._inbox.host):
            self._refuse(cluster, generation)
            return
        try:
            self._holdings.release(cluster, generation)
        except sqlite3.Error as error:
            # The beacons go on naming the generation, so it is asked for again.
            logger.error("a release cannot be kept: %s; is the disk full?", error)  # noqa: TRY400 - no bug
            return
        self._reconciler.ask(Look("push", cluster))

    def _refuse(self, cluster: str, generation: int) -> None:
        """Say, once, that a generation cannot be put in force: older content under its number would look like success."""
        if self._skipped.get(cluster) == generation:
            return
        self._skipped[cluster] = generation
        reason = f"the states of generation {generation} never came to this host, only newer ones did: push again"
        logger.error("%s: %s", cluster, reason)
        self._report(events.StateRefused(generation, "apply", reason), cluster)

    def _catch_up(self, cluster: str) -> None:
        """A state that came after its release (a second role's, say) is in force at once."""
        released = self._holdings.released(cluster)
        if released and released == self._holdings.holding(cluster).staged:
            self._reconciler.ask(Look("state", cluster))

    def _try(self, cluster: str, command: int, desired: object) -> None:
        try:
            self._reconciler.ask(TrialJob(cluster, command, decode_state(desired)))
        except BadState as error:
            self._reconciler.answer(Planned(cluster, command, error=str(error)))

    def _compare(self, clusters: dict[str, Position]) -> None:
        """Ask when a beacon shows a generation above ours; make up for a command that was missed, once."""
        following = self._holdings.following()
        for cluster, position in clusters.items():
            if cluster not in following:
                continue
            command = max(self._holdings.holding(cluster).command, self._made_up.get(cluster, 0))
            if position.command > command:
                self._made_up[cluster] = position.command
                self._reconciler.ask(Look("missed a broadcast", cluster))
                # It may have said so; that a MASTER has its VIPs is true in any case.
                self._announce(self.masters)
            behind = position.generation > self._holdings.released(cluster)
            if behind and time.monotonic() - self._asked > ASK_AGAIN_SECONDS:
                self._asked = time.monotonic()
                self._hello()

    # --- from keepalived and the kernel ---------------------------------------------------------------------------

    def occurred(self, occurrence: Occurrence) -> None:
        """Tell the journal what happened to keepalived, and look at the host at once."""
        match occurrence:
            case Transition(instance, state, priority, previous):
                self._enter(instance, state, priority, previous or "")
                self._reconciler.ask(Look(f"{instance} is {state}"))
            case Ended(end=End.STOPPED):
                self._report(events.KeepalivedStopped(tuple(sorted(self.roles))), self._reconciler.cluster())
                self._reconciler.ask(Look("keepalived stopped"))
            case Ended():
                self._report(events.KeepalivedDied(tuple(sorted(self.roles))), self._reconciler.cluster())
                self._lose_roles()
                self._reconciler.ask(Look("keepalived died"))
            case Appeared():
                self._report(events.KeepalivedStarted("operator"), self._reconciler.cluster())
                self._reconciler.ask(Look("keepalived started"))
            case BadLine():
                logger.warning("keepalived wrote an unreadable line into its FIFO: %s", occurrence)

    def _enter(self, instance: str, state: str, priority: int, previous: str) -> None:
        addresses = tuple(vip.address for vip in _vips(config_file.read(self._keepalived)).get(instance, ()))
        self.roles[instance] = Role(state, priority, addresses)
        self._report(events.VrrpTransition(instance, state, previous, priority, addresses), self._reconciler.cluster())

    def _lose_roles(self) -> None:
        """A keepalived that died said nothing of its instances: say it for it, since none is MASTER any more."""
        for instance, role in list(self.roles.items()):
            if role.state != "STOP":
                self._enter(instance, "STOP", 0, role.state)

    def done(self, put: PutReport, instances: Collection[str]) -> None:
        """Tell the journal what the reconciler did to keepalived, which has these instances now."""
        if put.action in ("started", "reloaded", "stopped"):
            self.roles = {name: role for name, role in self.roles.items() if name in instances}
        if put.backup is not None:
            self._report(
                events.ConfigReplaced(str(self._keepalived.config), str(put.backup)), self._reconciler.cluster()
            )
        if put.action == "started":
            self._report(events.KeepalivedStarted("minion"), self._reconciler.cluster())

    @property
    def masters(self) -> frozenset[str]:
        """The VRRP instances that are MASTER here."""
        return frozenset(name for name, role in self.roles.items() if role.state == "MASTER")

    def held(self, instances: Collection[str]) -> list[Address]:
        """List the VIPs of those of the instances that are MASTER here, as keepalived's file has them now."""
        known = _vips(config_file.read(self._keepalived))
        return [vip for name in sorted(self.masters.intersection(instances)) for vip in known.get(name, ())]

    def address_changed(self, identity: str, what: What) -> None:
        """Look when an address of ours vanished; one that appears matters if something was amiss."""
        outcome = self._reconciler.outcome
        ours = identity in self._reconciler.desired["address"]
        if outcome.unreadable or (ours and (what == "vanished" or outcome.drift)):
            self._reconciler.ask(Look(f"address {identity} {what}"))

    def link_changed(self, interface: str) -> None:
        """Look when an interface that matters here came, went, or was set up or down."""
        if self._reconciler.outcome.unreadable or concerns(self._reconciler.desired, interface):
            self._reconciler.ask(Look(f"interface {interface} changed"))

"""What can go wrong on a host, said to its operator: which object, what the kernel said, and the way out.

What is wrong with a message of the master or with the minion's configuration has errors of its own, elsewhere.
"""

from __future__ import annotations

import errno as errnos
import os


class HostError(Exception):
    """The host is not as the minion needs it, or did not do what it was asked to do."""


class NoIpvs(HostError):
    """The running kernel has no IPVS."""

    def __init__(self) -> None:
        super().__init__(
            "this kernel has no IPVS: run `modprobe ip_vs`, and name ip_vs in /etc/modules-load.d/ so that it is there "
            "after a reboot; if the module is missing, install the kernel package that brings ip_vs "
            "(Debian: linux-image-amd64, not a container's or a micro-VM's kernel)"
        )


class NotPermitted(HostError):
    """The kernel wants CAP_NET_ADMIN for this."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: the kernel refused it (EPERM); run as root or with CAP_NET_ADMIN")


class NoAnswer(HostError):
    """The kernel did not answer a netlink request in time, or its answer was lost: what it did is not known."""


class BadKernelMessage(HostError):
    """A netlink message is cut short or is not what this version of the minion knows."""


class DamagedState(HostError):
    """A signed state in the minion's database is not what the master signed: it is not obeyed."""

    def __init__(self, cluster: str, audience: str, wrong: str) -> None:
        super().__init__(
            f"the state of {cluster} ({audience}) in this host's minion.sqlite cannot be trusted: {wrong}; push again"
        )


class ChangeError(HostError):
    """One change was refused: `kind` and `identity` say of what, `reason` why, `errno` what the kernel said, if it did.

    Raised by what changes one thing, returned in a list by what changes many.
    """

    def __init__(self, kind: str, identity: str, reason: str, errno: int | None = None) -> None:
        super().__init__(kind, identity, reason, errno)
        self.kind = kind
        self.identity = identity
        self.reason = reason
        self.errno = errno

    def __str__(self) -> str:
        name = "" if self.errno is None else f" ({errnos.errorcode.get(self.errno, self.errno)})"
        return f"{self.kind} {self.identity}: {self.reason}{name}"


def kernel_said(errno: int, text: str = "") -> str:
    """What the kernel said, in words: its own if it sent any, else the meaning of the number."""
    return text or os.strerror(errno).lower()

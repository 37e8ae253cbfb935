"""The VIPs that a killed keepalived leaves on its interfaces, where the new MASTER has them too.

Which they are is decided here; they are removed with what the caller gives (lbminion.netlink.addresses).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable

from lbstates.kinds.address import Address


def leftovers(*, running: bool, vips: Iterable[Address], present: Collection[Address]) -> tuple[Address, ...]:
    """Return what to remove: the VIPs of the text that keepalived had loaded, as far as they are on the host.

    While keepalived runs it is their owner, and nothing is left over.
    """
    return () if running else tuple(vip for vip in dict.fromkeys(vips) if vip in present)


async def remove_leftovers(
    found: Iterable[Address], remove: Callable[[Address], Awaitable[None]]
) -> tuple[tuple[Address, ...], tuple[Exception, ...]]:
    """Remove each; one that cannot be removed keeps none of the others. Returns (removed, failures)."""
    removed: list[Address] = []
    failures: list[Exception] = []
    for vip in found:
        try:
            await remove(vip)
        except Exception as error:  # noqa: BLE001 - what it raises is its own business; each is handed back
            failures.append(error)
        else:
            removed.append(vip)
    return tuple(removed), tuple(failures)

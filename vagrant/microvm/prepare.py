"""Everything that must lie in the cache before a lab can boot, under one lock; what it replaces is removed."""

from __future__ import annotations

import fcntl
import logging
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from microvm import image, layers, paths, wheelhouse
from microvm.topology import Topology

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """The image, and of every host its layers from the topmost down to the image's root."""

    image: image.Image
    layers: dict[str, tuple[Path, ...]]


def prepare(topology: Topology, *, product: bool, in_use: Collection[str]) -> Prepared:
    """Build what the cache lacks, and remove what is out of date.

    ``in_use`` are the paths that running labs stand on: they stay. The caller holds ``cache_lock`` until it has
    recorded what it uses itself, or another lab could remove it again. Raises ``LabError``.
    """
    base = image.ensure()
    wheels = wheelhouse.ensure() if product and any(host.extras for host in topology.hosts) else None
    built = {host.name: layers.ensure(base, host, wheels) for host in topology.hosts}
    current = wheels.digest if wheels else None
    for stale in _stale(paths.cache(), base.digest, current):
        if not any(path.startswith(str(stale)) for path in in_use):
            logger.debug("removing %s: replaced", stale)
            shutil.rmtree(stale, ignore_errors=True)
    return Prepared(base, built)


def _stale(cache: Path, image_digest: str, wheels_digest: str | None) -> Iterator[Path]:
    """Yield what belongs to another image, or to another state of the source tree when this one is known."""
    for path in sorted(cache.iterdir()):
        kind, _, made_of = path.name.partition("-")
        digests = made_of.split("-")
        if (kind == "image" and digests[0] != image_digest) or (
            kind == "wheels" and wheels_digest and digests[0] != wheels_digest
        ):
            yield path
        elif kind in ("product", "host"):
            other_source = wheels_digest and digests[1] not in (wheels_digest, layers.BARE)
            if digests[0] != image_digest or other_source:
                yield path


@contextmanager
def cache_lock() -> Iterator[None]:
    """Let one lab at a time build in the cache; the kernel drops the lock when its holder dies."""
    with (paths.cache() / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting for another lab that is building in %s", paths.cache())
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""Directories laid over the image for a host: the product's virtual environment, and what its roles enable.

Each is built once, at the machine's own speed, by ``provision.sh`` in a chroot on an overlay; installing inside a
guest would take minutes. Keyed like the image: by content, so that equal hosts and labs share them.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from microvm import paths
from microvm.image import Image
from microvm.shell import run
from microvm.topology import Host
from microvm.wheelhouse import Wheelhouse

logger = logging.getLogger(__name__)

BARE = "bare"
# A private mount namespace: whatever happens, no mount outlives the script.
CHROOT = """\
set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"
mount -t proc proc "$4/proc"
mount --bind /dev "$4/dev"
mount --bind "$5" "$4/mnt"
root=$4
shift 5
exec chroot "$root" sh -s "$@"
"""


def ensure(image: Image, host: Host, wheelhouse: Wheelhouse | None) -> tuple[Path, ...]:
    """Return the layers of a host, topmost first and the image's root last; what is missing is built.

    Without a wheelhouse the host gets no product. The caller holds the cache's lock. Raises ``LabError``.
    """
    below: tuple[Path, ...] = (image.root,)
    made_of = f"{image.digest}-{wheelhouse.digest if wheelhouse and host.extras else BARE}"
    if wheelhouse and host.extras:
        name = f"product-{made_of}-{'-'.join(host.extras)}"
        below = (_layer(name, below, wheelhouse.directory, ["product", "/mnt", *host.extras]), *below)
    name = f"host-{made_of}-{'-'.join(host.roles)}"
    return (_layer(name, below, paths.VAGRANT, ["host", *host.roles]), *below)


def _layer(name: str, below: Sequence[Path], mnt: Path, provision: Sequence[str]) -> Path:
    directory = paths.cache() / name
    if not directory.is_dir():
        logger.info("provisioning: %s", " ".join(provision))
        partial = directory.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        upper, work, merged = (partial / part for part in ("upper", "work", "merged"))
        for path in (upper, work, merged):
            path.mkdir(parents=True)
        lower = ":".join(str(path) for path in below)
        try:
            run(
                ["unshare", "--mount", "sh", "-c", CHROOT, "layer", lower, upper, work, merged, mnt, *provision],
                what=f"provision a layer of the guests ({' '.join(provision)}; the cache {paths.cache()} must lie on a "
                "file system that overlayfs can write to: if it does not, set XDG_CACHE_HOME to one)",
                timeout=600,
                stdin=paths.PROVISION,
            )
            upper.rename(directory)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return directory

"""The root file system that all guests share: Debian packages by mmdebstrap, in the cache, keyed by what it is made of.

A product is never part of it (see ``layers``); roles differ only by the units that a layer enables.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from microvm import kernel, paths
from microvm.shell import run
from microvm.topology import ROLES

logger = logging.getLogger(__name__)

SUITE = "bookworm"
BASE = "systemd-sysv dbus kmod iproute2 iputils-ping openssh-server procps nftables ethtool tcpdump"
LEAN = (
    "--variant=minbase",
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=Acquire::Retries "3"',
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)
# Units that only cost boot time in a guest without hardware, users at a screen, or a life longer than a day.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "getty.target", "systemd-pstore.service", "systemd-logind.service", "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service", "systemd-journal-flush.service", "systemd-sysusers.service",
    "systemd-tmpfiles-clean.timer", "systemd-remount-fs.service", "dev-hugepages.mount", "dev-mqueue.mount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount", "remote-fs.target",
    "modprobe@configfs.service", "modprobe@drm.service", "modprobe@efi_pstore.service", "modprobe@fuse.service",
    "modprobe@dm_mod.service", "modprobe@loop.service", "systemd-user-sessions.service", "systemd-binfmt.service",
    "proc-sys-fs-binfmt_misc.automount", "systemd-random-seed.service", "kmod-static-nodes.service",
)  # fmt: skip
# Enabled by their packages, which all guests have; a role's layer enables its own again.
ROLE_UNITS = ("nginx.service", "keepalived.service", "ipvsadm.service")
SSHD = """\
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
PrintMotd no
MaxSessions 200
MaxStartups 200
SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""


@dataclass(frozen=True)
class Image:
    """A finished image: the root directory, the key that opens every guest, and the guests' host key."""

    directory: Path

    @property
    def digest(self) -> str:
        """What the image was made of, as a short name."""
        return self.directory.name.removeprefix("image-")

    @property
    def root(self) -> Path:
        """The root file system."""
        return self.directory / "root"

    @property
    def key(self) -> Path:
        """The private SSH key of root in the guests."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The SSH host key that all guests of the image show."""
        return self.directory / "known_hosts"


def _digest(version: str) -> str:
    """Name an image by everything that decides its content."""
    digest = hashlib.sha256(paths.PROVISION.read_bytes())
    digest.update(_init_script().read_bytes())
    digest.update(repr((SUITE, BASE, LEAN, MASKED, ROLE_UNITS, SSHD, ROLES, version)).encode())
    return digest.hexdigest()[:12]


def _init_script() -> Path:
    return Path(__file__).with_name("init.sh")


def ensure() -> Image:
    """Return the image, built when the cache lacks it. The caller holds the cache's lock. Raises ``LabError``."""
    version = kernel.version()
    directory = paths.cache() / f"image-{_digest(version)}"
    if not directory.is_dir():
        partial = directory.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            _build(Image(partial), version)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        partial.rename(directory)
    return Image(directory)


def _build(image: Image, version: str) -> None:
    roles = run(["sh", paths.PROVISION, "list", *ROLES], what="list the packages of the roles").split()
    packages = sorted({*BASE.split(), *roles})
    logger.info("building the guests' root file system from %d Debian packages (about a minute, once)", len(packages))
    run(
        ["mmdebstrap", "--mode=root", *LEAN, f"--include={','.join(packages)}", SUITE, image.root],
        what="build the root file system of the guests (needs Debian's package mirror)",
        timeout=900,
    )
    shutil.copytree(kernel.MODULES / version, image.root / "usr/lib/modules" / version, symlinks=True)
    _put(image.root / "usr/sbin/lab-init", _init_script().read_text(), 0o755)
    _put(image.root / "etc/ssh/sshd_config.d/lab.conf", SSHD)
    _put(image.root / "etc/fstab", "")
    for unit in MASKED:
        link = image.root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    # provision.sh comes in by standard input: the same file, also while it is being edited.
    run(["chroot", image.root, "sh", "-s", "packages", *ROLES], what="provision the image", stdin=paths.PROVISION)
    run(["chroot", image.root, "systemctl", "-q", "disable", *ROLE_UNITS], what="disable the roles' units in the image")
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", image.key], what="make the lab's SSH key")
    _put(image.root / "root/.ssh/authorized_keys", image.key.with_suffix(".pub").read_text(), 0o600)
    host_key = (image.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
    _put(image.known_hosts, f"* {host_key[0]} {host_key[1]}\n")


def _put(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)

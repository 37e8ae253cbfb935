"""A lab as a whole: up, run, crash, boot, down. The Python interface of the tests and of the demo.

State lies in a directory a lab (``paths.run_directory``), so that another process finds it by the lab's name.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from microvm import network, packages, paths, topology
from microvm.access import Access
from microvm.errors import LabError
from microvm.guest import Guest
from microvm.image import Image
from microvm.prepare import cache_lock, prepare
from microvm.shell import tail
from microvm.topology import Topology

logger = logging.getLogger(__name__)

BOOT_SECONDS = 240.0
RUN_SECONDS = 60.0
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")
RECORD = "lab.json"


def default_name() -> str:
    """Return the name of the lab when none is given: the variable LAB_NAME, else ``default``."""
    return os.environ.get("LAB_NAME") or "default"


@dataclass(frozen=True)
class Lab:
    """A lab that is up, or was left half up. Its guests, by name, in the order of the topology file."""

    name: str
    topology: Topology
    image: Image
    layers: dict[str, tuple[Path, ...]]

    # -- the life of a lab

    @classmethod
    def up(cls, source: Path | Topology = paths.TOPOLOGY, *, name: str | None = None, product: bool = True) -> Lab:
        """Bring up a lab and wait until systemd in every guest says ``running``; nothing is left behind on failure.

        ``source`` is a topology or its file; without ``product`` the guests have no lbmaster. Raises ``LabError``.
        """
        name = _checked(name or default_name())
        wanted = source if isinstance(source, Topology) else read_topology(source)
        packages.require_root()
        packages.require_devices()
        with _lock(name):
            if (paths.run_directory(name) / RECORD).exists():
                left = cls.attach(name)
                if any(guest.running() for guest in left.guests()):
                    raise LabError(f"the lab {name!r} is up already: `lab down` it first, or give another --name")
                left._remove()  # noqa: SLF001  # its own class; the lock is held
            packages.install(packages.missing_packages())
            with cache_lock():
                made = prepare(wanted, product=product, in_use=_paths_in_use())
                lab = cls(name, wanted, made.image, made.layers)
                lab._write_record()
            try:
                lab._boot_all()
            except BaseException as error:
                logger.info("the lab %s did not come up; taking it down again", name)
                lab._keep_consoles(error)
                lab._remove()
                raise
            return lab

    @classmethod
    def attach(cls, name: str | None = None) -> Lab:
        """Return the lab of that name, up by whoever. Raises ``LabError`` when there is none."""
        name = _checked(name or default_name())
        try:
            data = json.loads((paths.run_directory(name) / RECORD).read_text())
        except FileNotFoundError:
            raise LabError(f"no lab {name!r} is up; `lab up` brings it up, `lab status` lists those that are") from None
        hosts = tuple(
            topology.Host(**{**host, "roles": tuple(host["roles"])}) for host in data["topology"].pop("hosts")
        )
        layers = {host: tuple(Path(path) for path in found) for host, found in data["layers"].items()}
        return cls(name, Topology(hosts=hosts, **data["topology"]), Image(Path(data["image"])), layers)

    def down(self) -> None:
        """End every process of the lab and remove its namespace and its files. Raises ``LabError``."""
        with _lock(self.name):
            self._remove()

    # -- what is in it

    @property
    def namespace(self) -> str:
        """The network namespace of the bridge; `ip netns exec` into it to be on the lab's network."""
        return network.namespace_of(self.name)

    @property
    def directory(self) -> Path:
        """The directory of the lab's state: consoles, sockets, records."""
        return paths.run_directory(self.name)

    def guests(self) -> list[Guest]:
        """Return all guests, running or not, in the order of the topology."""
        disks = paths.cache() / "disks" / self.name
        return [
            Guest(host, index, self.directory / "guests" / host.name, disks / f"{host.name}.ext4")
            for index, host in enumerate(self.topology.hosts)
        ]

    def guest(self, name: str) -> Guest:
        """Return the guest of that name. Raises ``LabError`` that lists the names there are."""
        return self.guests()[self.topology.hosts.index(self.topology.host(name))]

    @property
    def access(self) -> Access:
        """The way into the guests."""
        return Access(self.namespace, self.image, self.directory / "ssh")

    # -- what is done with it

    def run(
        self,
        host: str,
        command: str | Sequence[str],
        *,
        check: bool = True,
        timeout: float = RUN_SECONDS,
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root in a guest: a string by its shell, a list word by word.

        Raises ``LabError`` when it does not end within ``timeout`` seconds, when the guest is not running, and, with
        ``check``, when its exit code is not 0.
        """
        done = self.access.run(self.guest(host), command, timeout=timeout, stdin=stdin)
        if check and done.returncode:
            raise LabError(
                f"{host}: {command!r} ended with code {done.returncode}\n{tail(done.stdout)}\n{tail(done.stderr)}".rstrip()
            )
        return done

    def crash(self, host: str) -> None:
        """Cut a guest's power. Its disk stays as it is for the next ``boot``. Raises ``LabError``."""
        guest = self.guest(host)
        guest.crash()
        self.access.disconnect(guest)

    def boot(self, host: str, *, timeout: float = BOOT_SECONDS) -> None:
        """Start a guest that is off and wait until it is ready. Raises ``LabError``."""
        guest = self.guest(host)
        self.access.disconnect(guest)
        guest.start(self.namespace, self.layers[host])
        self._wait_ready(guest, time.monotonic() + timeout)

    # -- inside

    def _write_record(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        record = {
            "topology": asdict(self.topology),
            "image": str(self.image.directory),
            "layers": {host: [str(path) for path in found] for host, found in self.layers.items()},
        }
        (self.directory / RECORD).write_text(json.dumps(record, indent=1))

    def _boot_all(self) -> None:
        network.create(self.namespace, self.topology)
        for guest in self.guests():
            guest.make(self.topology)
        logger.info("booting %d guests in the namespace %s", len(self.topology.hosts), self.namespace)
        deadline = time.monotonic() + BOOT_SECONDS
        for guest in self.guests():
            guest.start(self.namespace, self.layers[guest.host.name])
        with ThreadPoolExecutor() as pool:
            for waiting in [pool.submit(self._wait_ready, guest, deadline) for guest in self.guests()]:
                waiting.result()

    def _wait_ready(self, guest: Guest, deadline: float) -> None:
        """Wait for SSH, and then until systemd has finished the boot with no failed unit."""
        self.access.connect(guest, deadline)
        left = max(5.0, deadline - time.monotonic())
        state = self.access.run(guest, "systemctl is-system-running --wait", timeout=left).stdout.strip()
        if state != "running":
            failed = self.access.run(
                guest, "systemctl --failed --no-legend --plain", timeout=RUN_SECONDS
            ).stdout.strip()
            raise LabError(f"{guest.host.name} booted to {state!r}; failed units: {failed}; {guest.console_tail()}")

    def _keep_consoles(self, error: BaseException) -> None:
        """Save the consoles of a lab that did not come up where its message can point to."""
        kept = paths.cache() / f"consoles-{self.name}"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        for guest in self.guests():
            if guest.console.exists():
                shutil.copy(guest.console, kept / f"{guest.host.name}.log")
        error.add_note(f"the consoles of all guests are kept in {kept}")

    def _remove(self) -> None:
        for guest in self.guests():
            guest.crash()
        network.delete(self.namespace)
        shutil.rmtree(paths.cache() / "disks" / self.name, ignore_errors=True)
        shutil.rmtree(self.directory, ignore_errors=True)


def read_topology(path: Path) -> Topology:
    """Read and check a topology file. Raises ``LabError``."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"cannot read the topology {path}: {error}") from error
    return topology.parse(text, str(path))


def names() -> list[str]:
    """Return the names of all labs that are up on this machine, sorted."""
    return sorted(record.parent.name for record in paths.RUN.glob(f"*/{RECORD}"))


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise LabError(f"{name!r} is no name for a lab: 1 to 24 of a-z, 0-9 and '-', not beginning with '-'")
    return name


def _paths_in_use() -> list[str]:
    return [str(path) for name in names() for layers in Lab.attach(name).layers.values() for path in layers]


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """Let one process at a time bring the lab of that name up or down; the file goes when its holder is done."""
    paths.RUN.mkdir(parents=True, exist_ok=True)
    path = paths.RUN / f"{name}.lock"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The last holder may have removed the file between our opening and locking it: then it guards nothing.
            current = path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino
        except BlockingIOError:
            current = False
        if not current:
            raise LabError(f"another process is bringing the lab {name!r} up or down just now; wait for it")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

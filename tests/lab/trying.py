"""Runs in a unit on a guest, instead of its service: tries what a service must not be able to do, each in a process of its own.

Writes a JSON object to the file that it is given: what was tried -> "done", the name of the error, or the signal that
ended the attempt. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
PTRACE_ATTACH = 16


def called(function: str, *arguments: object) -> None:
    """Call a function of the C library; raises `OSError`."""
    if getattr(LIBC, function)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), function)


def ran(*command: str) -> None:
    """Run a program; a failing one counts as not permitted."""
    if subprocess.run(command, capture_output=True, timeout=20, check=False).returncode:
        raise OSError(errno.EPERM, command[0])


def listened(port: int) -> None:
    """Listen on a port, wherever."""
    with socket.socket() as listening:
        listening.bind(("", port))
        listening.listen()


def written(path: str) -> None:
    """Make a file, and take it away again."""
    Path(path).write_text("#", encoding="ascii")
    Path(path).unlink()


def rewritten(path: str) -> None:
    """Write a file as it is."""
    file = Path(path)
    file.write_text(file.read_text(encoding="ascii"), encoding="ascii")


def opened(family: int, kind: int, protocol: int = 0) -> None:
    """Make a socket."""
    socket.socket(family, kind, protocol).close()


def seen(path: str) -> None:
    """See into a directory; an empty one shows nothing."""
    if not os.listdir(path):  # noqa: PTH208 - the names are enough
        raise OSError(errno.ENOENT, path)


def other_users_file(state: Path) -> Path:
    """Name a file of the service that is not this one: of another user, or of root."""
    return Path("/var/lib/lbmaster/store.sqlite") if state.name == "lbminion" else Path("/var/lib/lbminion/curve.key")


def attempts(state: Path) -> dict[str, Callable[[], object]]:
    """All that is tried; `state` is the service's own directory."""
    return {
        "write its state": lambda: written(f"{state}/trying"),
        "listen above 1023": lambda: listened(17411),
        "listen below 1024": lambda: listened(81),
        "write /etc": lambda: written("/etc/trying"),
        "write /usr": lambda: written("/usr/lib/trying"),
        "write another's state": lambda: written("/var/lib/trying"),
        "write a unit": lambda: written("/etc/systemd/system/trying.service"),
        "write a job of cron": lambda: written("/var/spool/trying"),
        "write /tmp": lambda: _written_for_all(state),
        "read /etc/shadow": lambda: Path("/etc/shadow").read_text(encoding="ascii"),
        "read /home": lambda: seen("/home"),
        "read /root": lambda: seen("/root"),
        "read the other service's secrets": lambda: other_users_file(state).read_bytes(),
        "become another user": lambda: os.setuid(0 if os.getuid() else 65534),
        "give a file away": lambda: os.chown(state, 65534, 65534),
        "mount": lambda: called("mount", b"none", b"/mnt", b"tmpfs", 0, None),
        "load a module": lambda: ran("/usr/sbin/modprobe", "dummy"),
        "load code into the kernel": lambda: called("syscall", 175, b"", 0, b""),  # init_module
        "make a namespace": lambda: called("unshare", CLONE_NEWUSER),
        "trace another process": lambda: called("ptrace", PTRACE_ATTACH, 1, None, None),
        "end another's process": lambda: os.kill(_of_another_user(), signal.SIGCONT),
        "change the root": lambda: os.chroot("/"),
        "make a device": lambda: os.mknod(f"{state}/device", 0o20600, os.makedev(1, 1)),
        "read the memory of the machine": lambda: Path("/dev/mem").open("rb").close(),
        "set the clock": lambda: called("settimeofday", ctypes.byref((ctypes.c_long * 2)(1, 0)), None),
        "set the name of the host": lambda: called("sethostname", b"trying", 6),
        "reboot": lambda: called("reboot", 0),  # CAD off would be harmless, and needs the same right
        "raise its own share of the CPU": lambda: os.setpriority(os.PRIO_PROCESS, 0, -10),
        "use another personality": lambda: called("personality", 0x0040000),
        "make a file that runs as its owner": lambda: _set_uid(state),
        "set a sysctl of the kernel": lambda: rewritten("/proc/sys/kernel/panic"),
        "set a sysctl of the network": lambda: rewritten("/proc/sys/net/ipv4/conf/all/arp_ignore"),
        "add an address": _address,
        "open a raw socket": lambda: opened(socket.AF_INET, socket.SOCK_RAW, 112),
        "open a packet socket": lambda: opened(socket.AF_PACKET, socket.SOCK_RAW),
        "open a socket for Bluetooth": lambda: opened(31, socket.SOCK_RAW, 1),
        "write keepalived's directory": lambda: written("/etc/keepalived/trying"),
        "write the list of modules": lambda: written("/etc/modules-load.d/trying.conf"),
        "ask systemd": lambda: ran("/usr/bin/systemctl", "reset-failed", "keepalived.service"),
    }


def _of_another_user() -> int:
    """Find a process of somebody else; 1 if none is to be seen."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid != os.getuid():
                return int(process.name)
    return 1


def _written_for_all(state: Path) -> None:
    """A /tmp of its own is nobody else's: then this is refused."""
    own = "systemd-private" in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    if own:
        raise OSError(errno.EROFS, "/tmp")
    written(f"/tmp/trying-{state.name}")


def _set_uid(state: Path) -> None:
    file = state / "set-uid"
    file.touch()
    try:
        file.chmod(0o4755)
    finally:
        file.unlink()


def _address() -> None:
    ran("/usr/sbin/ip", "address", "add", "192.0.2.1/32", "dev", "lo")
    ran("/usr/sbin/ip", "address", "del", "192.0.2.1/32", "dev", "lo")


def outcome(attempt: Callable[[], object]) -> str:
    """Make the attempt in a child, which the filter of system calls may kill."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            attempt()
            said = "done"
        except OSError as error:
            said = errno.errorcode.get(error.errno or 0, str(error))
        except BaseException as error:  # noqa: BLE001 - told by its name
            said = type(error).__name__
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        said = told.read()
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else said


def main() -> None:
    """Try everything."""
    report = Path(sys.argv[1])
    found = {what: outcome(attempt) for what, attempt in attempts(report.parent).items()}
    report.write_text(json.dumps(found), encoding="ascii")


if __name__ == "__main__":
    main()

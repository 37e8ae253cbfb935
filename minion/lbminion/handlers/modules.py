"""Kernel modules: loaded, and on the list of those that every boot loads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lbminion import modules
from lbminion.errors import ChangeError, HostError
from lbminion.modules import BootList, Loader
from lbstates.kinds.module import Module
from lbstates.plan import Change, Resources

from .handler import Observed, Wanted

_WAY_OUT: Final = (
    "install the kernel package that brings it (Debian: linux-image-amd64, not a cloud, container or micro-VM kernel), "
    "boot it, and see whether `modprobe {name}` works"
)


class ListedModule(Module, frozen=True, tag="module"):
    """A module that is on our list, and not in the kernel."""

    def describe(self) -> str:
        return "not loaded"


class Modules:
    """A module that is loaded and not on the list reads as missing: it would not be there after a reboot."""

    kinds = ("module",)

    def __init__(self, boot_list: BootList | None = None, loader: Loader | None = None) -> None:
        self._list, self._loader = boot_list or BootList(), loader or Loader()
        self._built_in: frozenset[str] | None = None

    async def observe(self, wanted: Wanted) -> Observed:
        return {"module": self._read(wanted)}

    def changed(self, wanted: Wanted, observed: Resources) -> bool:
        """Two small files are read."""
        return self._read(wanted) != observed.get("module", {})

    def _read(self, wanted: Wanted) -> dict[str, Module]:
        if not wanted["module"]:
            return {}
        listed, present = self._list.read(), self._present()
        return {name: (Module if name in present else ListedModule)(name) for name in wanted["module"] & listed}

    def _present(self) -> frozenset[str]:
        if self._built_in is None:
            self._built_in = modules.built_in()
        return modules.loaded() | self._built_in

    async def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        """List and load, or strike from the list. What cannot be loaded is not left on it: boots would complain."""
        put = {change.identity for change in changes if change.after is not None}
        gone = {change.identity for change in changes if change.after is None}
        if wrong := [name for name in put if not modules.is_name(name)]:
            return [ChangeError("module", name, "is no name of a kernel module") for name in wrong]
        try:
            listed = self._list.read()
            self._list.write((listed | put) - gone)
            missing = put - self._present()
            if not missing:
                return []
            said = await self._loader.load(missing)
            missing -= self._present()
            if missing:
                self._list.write((listed | put) - gone - missing)
        except (HostError, OSError) as error:
            return [ChangeError("module", name, _reason(error)) for name in sorted(put or gone)]
        return [ChangeError("module", name, _not_loaded(name, said)) for name in sorted(missing)]

    def check(self, changes: Sequence[Change]) -> list[ChangeError]:
        """Say which modules could not be loaded, without trying to."""
        put = {change.identity for change in changes if change.after is not None}
        missing = put - self._present()
        if missing:
            missing -= modules.loadable()
        return [ChangeError("module", name, _not_loaded(name, "")) for name in sorted(missing)]

    def close(self) -> None:
        """Nothing is held open."""


def _not_loaded(name: str, said: str) -> str:
    return f"cannot be loaded ({said or 'it is not there for this kernel'}): {_WAY_OUT.format(name=name)}"


def _reason(error: HostError | OSError) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}; the minion has to be able to write there (systemd: ReadWritePaths)"
    return str(error)

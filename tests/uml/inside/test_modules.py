"""Kernel modules, loaded into a real kernel and kept on a list.

The guest has no kmod: its modprobe is a script that loads the same modules by the same system call.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from tests.uml.inside import planning
from tests.uml.inside.unloading import unload

from lbminion.handlers.modules import ListedModule, Modules
from lbminion.modules import BootList, Loader, built_in, loaded
from lbstates.kinds.module import Module
from lbstates.plan import Change

_SCRIPT = """\
#!{python}
import sys
sys.path.insert(0, {root!r})
from tests.uml.inside import modules
try:
    modules.load(*(word for word in sys.argv[1:] if not word.startswith("-")))
except KeyError as error:
    sys.exit(f"modprobe: FATAL: Module {{error}} not found in directory /lib/modules")
"""


@pytest.fixture
def boot_list(tmp_path: Path) -> BootList:
    return BootList(tmp_path / "modules-load.d" / "lbmaster.conf")


@pytest.fixture
def handler(tmp_path: Path, boot_list: BootList) -> Modules:
    unload("ip_vs_mh", "ip_vs_nq", "ip_vs_fo")
    script = tmp_path / "modprobe"
    script.write_text(_SCRIPT.format(python=sys.executable, root=str(Path(__file__).parents[3])))
    script.chmod(0o755)
    return Modules(boot_list, Loader(systemd=False, modprobe=str(script)))


@pytest.mark.pitfall("I8")
def test_a_module_is_loaded_now_and_at_every_boot(handler: Modules, boot_list: BootList) -> None:
    planning.make(handler, Module("ip_vs_mh"), Module("ip_vs_nq"))
    assert loaded() >= {"ip_vs", "ip_vs_mh", "ip_vs_nq"}
    lines = boot_list.path.read_text().splitlines()
    assert "lbmaster" in lines[0]
    assert lines[1:] == ["ip_vs_mh", "ip_vs_nq"]


def test_a_module_that_is_loaded_and_not_listed_is_put_on_the_list(handler: Modules, boot_list: BootList) -> None:
    planning.make(handler, Module("ip_vs_mh"))
    boot_list.path.unlink()
    (step,) = planning.plan(handler, [Module("ip_vs_mh")])
    assert step.verb == "add"
    planning.make(handler, Module("ip_vs_mh"))


def test_taking_a_module_away_strikes_it_from_the_list_and_leaves_it_loaded(
    handler: Modules, boot_list: BootList
) -> None:
    planning.make(handler, Module("ip_vs_mh"), Module("ip_vs_nq"))
    planning.remove(handler, Module("ip_vs_nq"))
    assert boot_list.read() == {"ip_vs_mh"}
    planning.remove(handler, Module("ip_vs_mh"))
    assert not boot_list.path.exists()
    assert loaded() >= {"ip_vs_mh", "ip_vs_nq"}


def test_a_module_that_the_kernel_lacks_is_named_with_the_way_out_and_does_not_stay_on_the_list(
    handler: Modules, boot_list: BootList
) -> None:
    (error,) = planning.apply(handler, planning.plan(handler, [Module("ip_vs_nothing"), Module("ip_vs_mh")]))
    assert "module ip_vs_nothing: cannot be loaded" in str(error)
    assert "not found in directory" in str(error)
    assert "linux-image-amd64" in str(error)
    assert boot_list.read() <= {"ip_vs_mh"}


def test_a_module_that_was_taken_out_of_the_kernel_is_drift(handler: Modules, boot_list: BootList) -> None:
    boot_list.path.parent.mkdir()
    boot_list.write(["ip_vs_fo"])
    assert planning.observe(handler, Module("ip_vs_fo")) == {"module": {"ip_vs_fo": ListedModule("ip_vs_fo")}}
    (step,) = planning.plan(handler, [Module("ip_vs_fo")])
    assert step.describe() == "~ module ip_vs_fo: not loaded -> "
    planning.make(handler, Module("ip_vs_fo"))


def test_built_in_code_needs_no_loading(handler: Modules) -> None:
    """The kernel shows built-in code that has settings."""
    assert "kernel" in built_in()
    planning.make(handler, Module("kernel"))


def test_a_host_without_kmod_hears_what_to_install(boot_list: BootList) -> None:
    handler = Modules(boot_list, Loader(systemd=False))
    change = Change("module", "add", "ip_vs_dh", after=Module("ip_vs_dh"))
    (error,) = asyncio.run(handler.apply([change]))
    assert "apt-get install kmod" in str(error)

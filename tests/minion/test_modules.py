"""The list of modules that every boot loads, and who loads them. (Loading into a real kernel: tests/uml.)"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from lbminion.errors import HostError
from lbminion.handlers.modules import Modules
from lbminion.modules import BootList, Loader, built_in, is_name, loadable, loaded
from lbstates.kinds.module import Module
from lbstates.plan import Change

PROC = """\
ip_vs_rr 16384 2 - Live 0xffffffffc0a1c000
ip_vs 176128 4 ip_vs_rr, Live 0xffffffffc09e0000
ipip 20480 0 - Loading 0x0000000000000000
sit 20480 0 - Unloading 0x0000000000000000
short line
"""


@pytest.fixture
def boot_list(tmp_path: Path) -> BootList:
    return BootList(tmp_path / "modules-load.d" / "lbmaster.conf")


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def add(*names: str) -> list[Change]:
    return [Change("module", "add", name, after=Module(name)) for name in names]


def test_only_modules_that_are_in_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "modules").write_text(PROC)
    assert loaded(tmp_path / "modules") == {"ip_vs_rr", "ip_vs"}


def test_a_kernel_without_modules_has_none_loaded(tmp_path: Path) -> None:
    assert loaded(tmp_path / "modules") == frozenset()


def test_built_in_is_what_the_package_lists_and_what_has_settings_without_a_state(tmp_path: Path) -> None:
    release = tmp_path / os.uname().release
    release.mkdir()
    (release / "modules.builtin").write_text("kernel/net/nf-tables.ko\nkernel/net/ip_vs_rr.ko.xz\n")
    (tmp_path / "sys/tcp_cubic").mkdir(parents=True)
    (tmp_path / "sys/ip_vs").mkdir()
    (tmp_path / "sys/ip_vs/initstate").write_text("live\n")
    assert built_in(tmp_path, tmp_path / "sys") == {"nf_tables", "ip_vs_rr", "tcp_cubic"}


def test_the_list_says_whose_it_is_and_is_gone_when_it_is_empty(boot_list: BootList) -> None:
    boot_list.write({"ip_vs", "ipip"})
    assert boot_list.path.read_text().splitlines()[0].startswith("# Written by lbmaster")
    assert boot_list.read() == {"ip_vs", "ipip"}
    assert stat.S_IMODE(boot_list.path.stat().st_mode) == 0o644
    boot_list.write(())
    assert not boot_list.path.exists()
    assert boot_list.read() == frozenset()
    boot_list.write(())


@pytest.mark.parametrize("name", ["", "ip-vs", "a b", "a\nb", "../x", "#x", "x" * 60, "Ip_vs", "ip_vs;"])
def test_what_is_no_name_of_a_module_is_never_written_nor_run(boot_list: BootList, tmp_path: Path, name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ValueError, match="no name of a kernel module"):
        boot_list.write(["ip_vs", name])
    handler = Modules(boot_list, Loader(systemd=False, modprobe=script(tmp_path / "m", f"touch {tmp_path}/ran")))
    (error,) = asyncio.run(handler.apply(add("ip_vs", name)))
    assert "is no name of a kernel module" in str(error)
    assert not boot_list.path.exists()
    assert not (tmp_path / "ran").exists()


def test_lines_that_are_no_names_are_passed_over(boot_list: BootList) -> None:
    boot_list.path.parent.mkdir()
    boot_list.path.write_bytes(b"# comment\n; comment\n\n  ip_vs  \n\xff\xfe\nip-vs\n")
    assert boot_list.read() == {"ip_vs"}


def test_under_systemd_its_own_service_loads_what_is_listed(boot_list: BootList, tmp_path: Path) -> None:
    systemctl = script(tmp_path / "systemctl", f'echo "$@" >>{tmp_path}/said; cat {boot_list.path} >>{tmp_path}/listed')
    handler = Modules(boot_list, Loader(systemd=True, systemctl=systemctl))
    (error,) = asyncio.run(handler.apply(add("ip_vs_nothing")))
    assert "module ip_vs_nothing: cannot be loaded" in str(error)
    assert (tmp_path / "said").read_text().splitlines() == [
        "--no-ask-password reset-failed systemd-modules-load.service",
        "--no-ask-password restart systemd-modules-load.service",
    ]
    assert "ip_vs_nothing" in (tmp_path / "listed").read_text()
    assert boot_list.read() == frozenset()


def test_what_could_not_be_loaded_is_said_with_where_to_look(boot_list: BootList, tmp_path: Path) -> None:
    systemctl = script(tmp_path / "systemctl", "echo 'Job for the unit failed.'; exit 1")
    (error,) = asyncio.run(Modules(boot_list, Loader(systemd=True, systemctl=systemctl)).apply(add("ip_vs_nothing")))
    assert "Job for the unit failed. (see journalctl -u systemd-modules-load.service)" in str(error)


def test_without_systemd_modprobe_is_given_all_at_once(boot_list: BootList, tmp_path: Path) -> None:
    modprobe = script(tmp_path / "modprobe", f'echo "$@" >{tmp_path}/said')
    errors = asyncio.run(Modules(boot_list, Loader(systemd=False, modprobe=modprobe)).apply(add("none_b", "none_a")))
    assert [error.identity for error in errors] == ["none_a", "none_b"]
    assert (tmp_path / "said").read_text() == "--all -- none_a none_b\n"


def test_a_loader_that_is_missing_is_named(boot_list: BootList, tmp_path: Path) -> None:
    for loader in (
        Loader(systemd=True, systemctl=str(tmp_path / "nowhere")),
        Loader(systemd=False, modprobe=str(tmp_path / "nowhere")),
    ):
        (error,) = asyncio.run(Modules(boot_list, loader).apply(add("ip_vs_nothing")))
        assert f"cannot run {tmp_path}/nowhere" in str(error)
        with pytest.raises(HostError):
            asyncio.run(loader.load(["ip_vs_nothing"]))


def test_a_list_that_cannot_be_written_is_said_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    handler = Modules(BootList(tmp_path / "file" / "lbmaster.conf"), Loader(systemd=False))
    (error,) = asyncio.run(handler.apply(add("ip_vs")))
    assert str(tmp_path / "file") in str(error)
    assert "ReadWritePaths" in str(error)


def test_nothing_is_read_where_nothing_is_wanted(tmp_path: Path) -> None:
    """A real server with direct routing needs no module, nor a readable list."""
    unreadable = BootList(tmp_path)
    with pytest.raises(IsADirectoryError):
        unreadable.read()
    handler = Modules(unreadable)
    assert asyncio.run(handler.observe({"module": set()})) == {"module": {}}
    assert not handler.changed({"module": set()}, {"module": {}})


def test_what_lies_ready_for_this_kernel_can_be_loaded(tmp_path: Path) -> None:
    """Compressed or not, with `_` for `-`; a kernel without modules has none."""
    assert loadable(tmp_path) == frozenset()
    folder = tmp_path / os.uname().release
    folder.mkdir()
    (folder / "modules.dep").write_text(
        "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/lib/libcrc32c.ko\nkernel/net/nf-log.ko:\n"
    )
    assert loadable(tmp_path) == {"ip_vs", "nf_log"}


def test_a_module_that_nobody_has_is_refused_before_anything_is_changed(boot_list: BootList) -> None:
    """With the way out, and without being listed; one that is to be struck off needs not be there."""
    handler = Modules(boot_list, Loader(systemd=False, modprobe="/bin/false"))
    put, gone = (Module(f"lbmaster_has_no_{name}") for name in ("such_module", "other"))
    changes = [
        Change("module", "add", put.identity, after=put),
        Change("module", "remove", gone.identity, before=gone),
    ]
    (error,) = handler.check(changes)
    assert error.identity == put.identity
    assert f"see whether `modprobe {put.identity}` works" in error.reason
    assert not boot_list.path.exists()

"""How the lab calls the kernel of its guests: as it is, or with help on processors whose registers it does not know."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "vagrant"))

from microvm import kernel, packages  # found by the line above
from microvm.errors import LabError

WITH = "processor\t: 0\nflags\t\t: fpu avx512f amx_bf16 amx_tile amx_int8\n"
WITHOUT = "processor\t: 0\nflags\t\t: fpu avx512f\nbugs\t\t: amx_tile\n"


def test_a_processor_with_amx_is_known_by_its_flags() -> None:
    assert kernel.has_amx(WITH)
    assert not kernel.has_amx(WITHOUT)
    assert not kernel.has_amx("")


def test_the_kernel_is_called_as_it_is_where_it_needs_no_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "has_amx", lambda: False)
    assert kernel.command() == ["linux.uml"]
    assert not set(packages.COMPILER) & set(packages.missing_packages())


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the kernel needs help, and nothing is left of the attempt in the cache."""
    monkeypatch.setattr(kernel, "has_amx", lambda: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin" / "cc"
    broken.write_text("#!/bin/sh\necho no such header >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent), prepend=":")
    with pytest.raises(LabError, match=r"gcc and libc6-dev[\s\S]*no such header"):
        kernel.command()
    assert list((tmp_path / "lbmaster-lab").iterdir()) == []

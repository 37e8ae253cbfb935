from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.master.cli.scripted import Master

from lbmaster.cli.main import main


def lbmaster(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(config), *arguments])


def init(folder: Path, *arguments: str) -> Result:
    directories = ("--state-dir", str(folder / "state"), "--runtime-dir", str(folder))
    return lbmaster(folder / "master.toml", "init", *directories, *arguments)


def test_init_makes_keys_and_prints_the_fingerprint(tmp_path: Path) -> None:
    """52 characters; the keys are nobody else's to read."""
    result = init(tmp_path)

    assert result.exit_code == 0
    fingerprint = result.stdout.splitlines()[1].removeprefix("Fingerprint: ")
    assert len(fingerprint) == 52
    keys = list((tmp_path / "state" / "keys").iterdir())
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_init_again_changes_nothing_and_says_so(tmp_path: Path) -> None:
    """Keys and configuration stay; the same fingerprint is printed."""
    first = init(tmp_path)
    written = (tmp_path / "master.toml").read_bytes()

    second = init(tmp_path, "--listen", "127.0.0.1")

    assert second.stdout.splitlines()[0].endswith("(kept as it was)")
    assert second.stdout.splitlines()[1] == first.stdout.splitlines()[1]
    assert (tmp_path / "master.toml").read_bytes() == written


def test_init_with_an_address_that_is_none_fails(tmp_path: Path) -> None:
    """And leaves no configuration behind."""
    result = init(tmp_path, "--listen", "everywhere")

    assert (result.exit_code, "everywhere" in result.stderr) == (1, True)
    assert not (tmp_path / "master.toml").exists()


def test_init_where_nothing_can_be_written_fails(tmp_path: Path) -> None:
    """The path is named, and the way out."""
    (tmp_path / "state").write_text("in the way")

    result = init(tmp_path)

    assert result.exit_code == 1
    assert str(tmp_path / "state") in result.stderr


@pytest.mark.parametrize("verb", ["serve", "status"])
@pytest.mark.parametrize(
    ("content", "expected"), [(None, "run `lbmaster init`"), ("liste = 1\n", "liste"), ("=", "line 1")]
)
def test_a_missing_or_wrong_configuration_exits_2(
    tmp_path: Path, verb: str, content: str | None, expected: str
) -> None:
    """Whoever needs it says what is wrong with it."""
    if content is not None:
        (tmp_path / "master.toml").write_text(content)

    result = lbmaster(tmp_path / "master.toml", verb)

    assert (result.exit_code, expected in result.stderr) == (2, True)


def test_config_says_where_the_socket_is(tmp_path: Path, master: Master) -> None:
    """So that one option is enough for a master that is not at the usual place."""
    master.answers["status"] = [{"result": {"clusters": {}}}]
    init(tmp_path)

    assert lbmaster(tmp_path / "master.toml", "status").exit_code == 0

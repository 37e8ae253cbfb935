from __future__ import annotations

import json
from pathlib import Path

from tests.master.cli import examples
from tests.master.cli.conftest import Run


def test_a_right_file_needs_no_master_and_exits_0(run: Run, tmp_path: Path) -> None:
    """Offline: nothing listens on the socket."""
    path = tmp_path / "cluster.yaml"
    path.write_text(f"{examples.CLUSTER_FILE}check: tcp\n")

    result = run("check", str(path))

    assert (result.exit_code, result.stdout) == (0, f"{path}: right\n")


def test_a_reminder_is_shown_and_is_no_warning(run: Run) -> None:
    """Nobody watches the real servers: not wrong, but worth a line; also by --strict."""
    result = run("check", "--strict", "-", text=examples.CLUSTER_FILE)

    assert result.exit_code == 0
    reminder, verdict = result.stdout.splitlines()
    assert reminder.startswith("-:10: info: services: nobody watches")
    assert verdict == "-: right"


def test_the_file_in_the_help_is_right(run: Run) -> None:
    """What users copy from `check --help` passes."""
    shown = run("check", "--help").stdout.split("A whole cluster file:\n")[1].split("\n\n")[0]

    assert run("check", "-", text=shown).exit_code == 0


def test_every_error_is_shown_with_its_place_and_exits_2(run: Run) -> None:
    """Several at once, by line, as compilers write them."""
    text = examples.CLUSTER_FILE.replace("port: 80", "port: 99999").replace("netology4:", "netology3:")

    result = run("check", "-", text=text)

    assert result.exit_code == 2
    lines = result.stdout.splitlines()
    assert lines[0].startswith("-:4: error: ")
    assert any(line.startswith("-:12: error: services[0].port: ") for line in lines)
    assert lines[-1].startswith("-: 2 errors")


def test_warnings_alone_exit_0(run: Run) -> None:
    """One director: no failover, but no error."""
    text = examples.CLUSTER_FILE.replace("  netology4: 172.28.128.40\n", "")

    result = run("check", "-", text=text)

    assert result.exit_code == 0
    assert ": warning: " in result.stdout
    assert result.stdout.endswith("-: right, 1 warning\n")


def test_json_lists_the_findings(run: Run) -> None:
    """With the fields of the protocol."""
    result = run("check", "--json", "-", text="cluster: [\n")

    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert (document["file"], document["cluster"]) == ("-", None)
    assert set(document["findings"][0]) == {"line", "field", "wrong", "right", "severity"}


def test_input_that_is_not_utf8_exits_2(run: Run) -> None:
    """The line of the first bad byte is named."""
    result = run("check", "-", text=b"cluster: a\nvips: \xe4\n")

    assert (result.exit_code, "-:2: this is not UTF-8" in result.stderr) == (2, True)


def test_schema_is_json(run: Run) -> None:
    """For editors; needs no master."""
    assert "properties" in json.loads(run("schema").stdout)


def test_strict_takes_a_warning_for_an_error(run: Run) -> None:
    """The same findings, another verdict and exit code."""
    text = f"{examples.CLUSTER_FILE}vrrp: {{auth_pass: secret12}}\n"
    lax, strict = run("check", "-", text=text), run("check", "--strict", "-", text=text)
    assert (lax.exit_code, strict.exit_code) == (0, 2)
    assert strict.stdout.splitlines()[:-1] == lax.stdout.splitlines()[:-1]
    assert "not right by --strict, 1 warning" in strict.stdout


def test_strict_has_nothing_against_a_file_without_warnings(run: Run) -> None:
    assert run("check", "--strict", "-", text=examples.CLUSTER_FILE).exit_code == 0

"""How a command ends when the master is not there, hangs up, or talks nonsense."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.master.cli.conftest import Run
from tests.master.cli.scripted import Master

from lbmaster.cli import exits

COMMANDS = [("status",), ("stats",), ("events",), ("keys", "list"), ("reconcile", "netology")]


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_master_exit_3_and_what_to_do(run: Run, scripted: Master, command: tuple[str, ...]) -> None:
    """The socket is named, and the way out."""
    path = scripted.events_socket if command == ("events",) else scripted.socket

    result = run(*command)

    assert result.exit_code == 3
    assert result.stderr == (
        f"Error: cannot reach the master at {path}: there is no such socket; "
        "is it running? systemctl start lbmaster, or name its socket (--socket)\n"
    )


def test_a_socket_that_a_killed_master_left_behind(run: Run, scripted: Master) -> None:
    """The file is there and nobody listens."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(scripted.socket))

    result = run("status")

    assert (result.exit_code, "nobody listens there" in result.stderr) == (3, True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_without_the_rights_exit_3_and_say_run_as_root(scripted: Master) -> None:
    """The control socket belongs to root."""
    with scripted.running():
        scripted.socket.chmod(0o600)
        # The folders of pytest are closed to others; a copy of the socket's path is reached by its descriptor.
        folder = os.open(scripted.folder, os.O_PATH)
        code = (
            "import os, sys\n"
            "from lbmaster.cli.main import main\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            f"main(['--socket', '/proc/self/fd/{folder}/control.sock', 'status'])\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, pass_fds=[folder], check=False
        )
        os.close(folder)

    assert ended.returncode == 3
    assert "permission denied; run this as root (sudo)" in ended.stderr


def test_json_errors_are_json_too(run: Run) -> None:
    """On standard output; standard error has the text for people."""
    result = run("status", "--json")

    assert json.loads(result.stdout)["error"]["kind"] == "unreachable"
    assert result.stderr.startswith("Error: cannot reach the master")


@pytest.mark.parametrize("answer", [b"nonsense\n", b"[]\n", b'{"result": 3}\n', b'{"note": {}, "x"\n', b"\xff\xfe\n"])
def test_a_peer_that_is_no_master_is_reported(run: Run, scripted: Master, answer: bytes) -> None:
    """Exit code 1, no traceback."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(scripted.socket))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        result = run("status")
        thread.join()

    assert (result.exit_code, "is not understood" in result.stderr) == (1, True)


def test_an_error_from_the_network_cannot_act_on_a_terminal(master: Master, run: Run) -> None:
    """Texts of the master may quote what a minion said."""
    master.answers["status"] = [{"error": {"kind": "internal", "text": "bad \x1b[31mname"}}]

    assert run("status").stderr == "Error: bad \\x1b[31mname\n"


def test_a_reader_that_goes_away_ends_the_command_quietly(master: Master) -> None:
    """As in `lbmaster events --since 0 | head -1`."""
    for _ in range(20000):
        master.happens("minion.started", product="0.1.0")
    command = [sys.executable, "-m", "lbmaster", "--socket", str(master.socket), "events", "--since", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        complaints = process.stderr.read()

    assert (process.returncode, complaints) == (exits.PIPE_CLOSED, b"")


@pytest.mark.parametrize("command", [["nonsense"], ["push"], ["status", "--nonsense"], ["reconcile"]])
def test_wrong_usage_exits_2(run: Run, command: list[str]) -> None:
    """As click does."""
    assert run(*command).exit_code == exits.USAGE


def test_version(run: Run) -> None:
    """The product's, in one line."""
    assert run("--version").stdout.startswith("lbmaster, version ")


HELP = [
    [], ["init"], ["serve"], ["check"], ["schema"], ["plan"], ["push"], ["status"], ["stats"], ["events"],
    ["reconcile"], ["completion"], ["keys"], ["keys", "list"], ["keys", "accept"], ["keys", "reject"],
    ["keys", "revoke"], ["keys", "token"],
]  # fmt: skip


@pytest.mark.parametrize("command", HELP)
def test_every_help_has_examples(run: Run, command: list[str]) -> None:
    """That begin with the product's name, each on a line of its own."""
    result = run(*command, "--help")

    assert result.exit_code == 0
    assert any(word in result.stdout for word in ("Example", "First steps"))
    assert "\n    lbmaster " in result.stdout or "lbmaster completion" in result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(run: Run, shell: str) -> None:
    """Click's own, by one name."""
    assert "_LBMASTER_COMPLETE" in run("completion", shell).stdout


def test_help_and_completion_load_no_heavy_library() -> None:
    """They have to be quick: every TAB starts a process."""
    code = (
        "import sys; import lbmaster.cli.main; "
        "heavy = {'rich', 'pydantic', 'yaml', 'msgspec', 'asyncio', 'zmq', 'cryptography'} & sys.modules.keys(); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_client_needs_the_standard_library_only() -> None:
    """Alerting scripts run where nothing of the master's libraries is wanted."""
    code = (
        "import sys; import lbmaster.client; "
        "heavy = {'rich', 'pydantic', 'click', 'yaml', 'msgspec', 'zmq'} & sys.modules.keys(); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_socket_from_the_environment(master: Master, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """--socket wins over LBMASTER_SOCKET."""
    monkeypatch.setenv("LBMASTER_SOCKET", str(tmp_path / "elsewhere.sock"))
    master.answers["status"] = [{"result": {"clusters": {}}}]

    assert run("status").exit_code == 0

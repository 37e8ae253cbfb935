from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.master.cli import examples
from tests.master.cli.conftest import Run
from tests.master.cli.scripted import Master


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "cluster.yaml"
    path.write_text(examples.CLUSTER_FILE)
    return str(path)


def test_plan_shows_every_change_per_host_and_a_summary(master: Master, run: Run, file: str) -> None:
    """`+` add, `~` before -> after, `-` remove, the detail below it; hosts without changes are left out."""
    master.answers["plan"] = [{"result": examples.PLAN}]

    result = run("plan", file)

    assert result.exit_code == 0
    assert result.stdout == (
        "netology1:\n"
        "  ~ sysctl net/ipv4/conf/all/arp_ignore: 0 -> 1\n"
        "  + address lo 172.28.128.200/32\n"
        "\n"
        "netology3:\n"
        "  ~ keepalived: running, configuration of 20 lines -> running, configuration of 21 lines\n"
        "        --- before\n"
        "        +++ after\n"
        "        @@ -1,2 +1,3 @@\n"
        "         global_defs {\n"
        "        +    vrrp_garp_master_refresh 60\n"
        "         }\n"
        "  - service tcp 172.28.128.200:81: rr\n"
        "\n"
        "Plan: 1 to add, 2 to change, 1 to remove on 2 hosts.\n"
    )


def test_plan_sends_the_text_and_the_name_of_the_file(master: Master, run: Run, file: str) -> None:
    """The master reads no file of the user's: it gets its text."""
    master.answers["plan"] = [{"result": examples.PLAN}]

    run("plan", file, "--timeout", "3s")

    assert master.requests == [{"verb": "plan", "text": examples.CLUSTER_FILE, "file": file, "timeout": 3.0}]


def test_plan_without_changes_says_so(master: Master, run: Run, file: str) -> None:
    """An empty plan reads as one sentence."""
    master.answers["plan"] = [{"result": examples.NO_PLAN}]

    assert run("plan", file).stdout == "No changes: every host is as the file says.\n"


def test_plan_fails_when_a_host_cannot_say(master: Master, run: Run, file: str) -> None:
    """The host is named with its reason, the summary counts it, and the exit code is 1."""
    hosts = {"netology1": {"steps": [examples.ADD]}, "netology2": {"steps": [], "error": "no answer in 10 s"}}
    master.answers["plan"] = [{"result": {"cluster": "netology", "hosts": hosts}}]

    result = run("plan", file)

    assert result.exit_code == 1
    assert "netology2: cannot plan: no answer in 10 s" in result.stdout
    assert "Plan: 1 to add, 0 to change, 0 to remove on 1 host; 1 host cannot plan." in result.stdout


def test_plan_shows_warnings_with_their_place(master: Master, run: Run, file: str) -> None:
    """Warnings of the cluster file come first, as compilers write them."""
    warning = {"severity": "warning", "line": 3, "field": "directors", "wrong": "only one", "right": "add another"}
    master.answers["plan"] = [{"result": {**examples.NO_PLAN, "findings": [warning]}}]

    assert run("plan", file).stdout.startswith(f"{file}:3: warning: directors: only one; add another\n")


def test_push_writes_a_line_per_happening_in_a_pipe(master: Master, run: Run, file: str) -> None:
    """Then what was changed, and a summary; exit code 0."""
    master.answers["push"] = [*examples.PUSH_NOTES, {"result": examples.PUSHED}]

    result = run("push", file)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "staging, generation 7, 2 hosts, after 0 ms",
        "netology1: staged, 2 changes",
        "netology1: released, wave 1",
        "netology1: applied, 2 changes, after 40 ms",
        "netology1:",
        "  ~ sysctl net/ipv4/conf/all/arp_ignore: 0 -> 1",
        "  + address lo 172.28.128.200/32",
        "",
        "Converged: generation 7 of netology in 340 ms: 1 added, 1 changed, 0 removed on 1 host.",
    ]


def test_push_that_changed_nothing_says_so(master: Master, run: Run, file: str) -> None:
    """The second push of one file."""
    hosts = {name: {"state": "converged", "steps": []} for name in ("netology1", "netology2")}
    master.answers["push"] = [{"result": {**examples.PUSHED, "hosts": hosts}}]

    result = run("push", file)

    assert result.stdout == "Converged: generation 7 of netology in 340 ms: no changes on 2 hosts.\n"


def test_push_that_failed_names_host_and_reason_and_exits_1(master: Master, run: Run, file: str) -> None:
    """Exit code 0 only if all hosts have converged."""
    master.answers["push"] = [{"result": examples.PUSH_FAILED}]

    result = run("push", file)

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "netology1: refused: no ip_vs in this kernel",
        "Failed: generation 7 of netology is not in force on every host.",
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"stays": "not_released", "released": 6},
            "Failed: generation 7 of netology was released to no host; generation 6 is in force as before.",
        ),
        (
            {"stays": "not_released"},
            "Failed: generation 7 of netology was released to no host; nothing is in force yet.",
        ),
        (
            {"stays": "first", "released": 0},
            (
                "Failed: generation 7 of netology is not in force on every host, and stays where it is: there is nothing to go "
                "back to. Mend the cause, and push again."
            ),
        ),
        (
            {"stays": "kept", "released": 6, "outcome": "aborted"},
            (
                "Aborted: generation 7 of netology is not in force on every host, and stays where it is: that was asked for. "
                "Push again, or lbmaster rollback to a generation of lbmaster history."
            ),
        ),
        (
            {"rollback": {"generation": 8, "content_of": 6, "outcome": "failed", "problems": {}}, "released": 8},
            (
                "Failed: generation 7 of netology was taken back, but not everywhere: generation 8, with the content of 6, is in "
                "force, and those named above follow as soon as they can; see lbmaster status."
            ),
        ),
    ],
)
def test_the_last_line_of_a_failed_push_tells_what_is_in_force(
    master: Master, run: Run, file: str, more: dict[str, object], said: str
) -> None:
    """Under which number, or why nothing was taken back, and what to do."""
    master.answers["push"] = [{"result": {**examples.PUSH_FAILED, **more}}]
    result = run("push", file)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (1, said)


def test_push_says_who_pushes(master: Master, run: Run, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also behind sudo: the journal names the person."""
    monkeypatch.setenv("SUDO_USER", "ines")
    master.answers["push"] = [{"result": examples.PUSHED}]

    run("push", file)

    assert master.requests[0]["by"].startswith("ines@")


@pytest.mark.parametrize(("verb", "answer"), [("plan", examples.PLAN), ("push", examples.PUSHED)])
def test_json_is_the_masters_answer(master: Master, run: Run, file: str, verb: str, answer: dict[str, object]) -> None:
    """One document on standard output, no notes."""
    notes = examples.PUSH_NOTES if verb == "push" else []
    master.answers[verb] = [*notes, {"result": answer}]

    result = run(verb, file, "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == answer


def test_json_of_a_failed_push_exits_1(master: Master, run: Run, file: str) -> None:
    """The exit code does not depend on the format."""
    master.answers["push"] = [{"result": examples.PUSH_FAILED}]

    result = run("push", file, "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["outcome"] == "failed"


def test_push_of_standard_input(master: Master, run: Run) -> None:
    """- is standard input."""
    master.answers["push"] = [{"result": examples.PUSHED}]

    assert run("push", "-", text=examples.CLUSTER_FILE).exit_code == 0
    assert master.requests[0]["text"] == examples.CLUSTER_FILE


@pytest.mark.parametrize("verb", ["plan", "push"])
def test_a_wrong_file_shows_the_findings_and_exits_2(master: Master, run: Run, file: str, verb: str) -> None:
    """Also with --json, where programs find them on standard output."""
    finding = {"severity": "error", "line": 9, "field": "vips.web", "wrong": "not an address", "right": "10.0.0.1/24"}
    master.answers[verb] = [{"error": {"kind": "bad_file", "text": f"{file}: 1 error", "findings": [finding]}}]

    result = run(verb, file, "--json")

    assert result.exit_code == 2
    assert f"{file}:9: error: vips.web: not an address; 10.0.0.1/24\nError: {file}: 1 error\n" in result.stderr
    assert json.loads(result.stdout)["error"]["findings"] == [finding]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("never_joined", "netology3 and netology4 have never joined: run lbminion join there"),
        ("absent", "netology2 was last seen 12 s ago"),
        ("busy", "generation 6 is on its way"),
        ("internal", "unexpected"),
    ],
)
def test_a_push_that_the_master_refuses_exits_1_with_its_reason(
    master: Master, run: Run, file: str, kind: str, text: str
) -> None:
    """The master's words, unchanged."""
    master.answers["push"] = [{"error": {"kind": kind, "text": text}}]

    result = run("push", file)

    assert (result.exit_code, result.stderr) == (1, f"Error: {text}\n")


def test_a_master_killed_during_a_push_is_reported(master: Master, run: Run, file: str) -> None:
    """The connection ends without a result: exit code 3, not success."""
    master.answers["push"] = examples.PUSH_NOTES

    result = run("push", file)

    assert result.exit_code == 3
    assert "ended before it had answered" in result.stderr


def test_an_answer_of_another_shape_is_reported(master: Master, run: Run, file: str) -> None:
    """A master of another release: the place in the answer is named."""
    master.answers["plan"] = [{"result": {"cluster": "netology", "hosts": {"netology1": {"steps": 3}}}}]

    result = run("plan", file)

    assert result.exit_code == 1
    assert "$.hosts[...].steps" in result.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "check the path"),
        (b"cluster: \xff\n", "cluster.yaml:1: this is not UTF-8; save the file as UTF-8"),
        (b"x" * (4 * 1024 * 1024 + 1), "is larger than"),
    ],
)
def test_a_file_that_cannot_be_read_exits_2(run: Run, tmp_path: Path, content: bytes | None, expected: str) -> None:
    """Before the master is asked: none runs here."""
    path = tmp_path / "cluster.yaml"
    if content is not None:
        path.write_bytes(content)

    result = run("push", str(path))

    assert result.exit_code == 2
    assert expected in result.stderr


def test_a_directory_is_no_file(run: Run, tmp_path: Path) -> None:
    """Says what to name instead."""
    result = run("plan", str(tmp_path))

    assert (result.exit_code, "name a file in it" in result.stderr) == (2, True)

"""`lbmaster import`: files from disk, where the result goes, and the report."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from tests.master.cli.conftest import Run

from lbmaster.cli.import_files import MAX_ALTERNATIVES, Disk, alternatives
from lbstates.importing.remarks import Unreadable

CONF = """\
include conf.d/*.conf
virtual_server 172.28.128.200 80 {
    protocol TCP
    lb_algo rr
    lb_kind DR
    real_server 172.28.128.10 80 {
        weight 1
        MISC_CHECK {
            misc_path /usr/local/bin/check
        }
    }
}
"""
INSTANCE = """\
vrrp_instance web {
    interface eth1
    virtual_router_id 51
    virtual_ipaddress {
        172.28.128.200/24
    }
}
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A keepalived.conf that includes its only instance."""
    path = tmp_path / "keepalived.conf"
    path.write_text(CONF)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "web.conf").write_text(INSTANCE)
    return path


def arguments(conf: Path) -> tuple[str, ...]:
    return ("import", "--director", f"d1={conf}", "--address", "d1=172.28.128.30")


def test_without_output_the_file_is_printed_and_the_report_is_on_standard_error(run: Run, conf: Path) -> None:
    """So that `lbmaster import ... > cluster.yaml` does what one expects."""
    result = run(*arguments(conf))

    assert yaml.safe_load(result.stdout)["vips"] == {"web": "172.28.128.200/24"}
    lines = result.stderr.splitlines()
    assert any(line.startswith(f"{conf}:8: warning: MISC_CHECK: it has no counterpart; it is kept") for line in lines)
    assert lines[-1].startswith("The cluster file is above: 2 taken, 1 dropped")


def test_with_output_the_file_is_written_and_the_report_is_printed(run: Run, conf: Path, tmp_path: Path) -> None:
    output = tmp_path / "cluster.yaml"

    result = run(*arguments(conf), "-o", str(output))

    assert yaml.safe_load(output.read_text())["directors"] == {"d1": "172.28.128.30"}
    assert f"{output} was written: 2 taken, 1 dropped" in result.stdout.splitlines()[-1]
    assert result.exit_code == 0


def test_what_was_taken_is_reported_when_asked_for(run: Run, conf: Path, tmp_path: Path) -> None:
    """With the included file's name and line."""
    result = run(*arguments(conf), "--all", "-o", str(tmp_path / "x"))

    assert f"{conf.parent}/conf.d/web.conf:1: info: vrrp_instance: web with 1 VIP" in result.stdout.splitlines()


def test_an_output_that_exists_is_not_replaced_unasked(run: Run, conf: Path, tmp_path: Path) -> None:
    """A dangling link is something that exists, too."""
    output = tmp_path / "cluster.yaml"
    output.symlink_to(tmp_path / "nowhere")
    result = run(*arguments(conf), "-o", str(output))

    assert (result.exit_code, result.stderr) == (
        2,
        f"Error: {output} exists; write to another file, or give --force\n",
    )
    assert run(*arguments(conf), "--force", "-o", str(output)).exit_code == 0
    assert (tmp_path / "nowhere").exists()


def test_errors_exit_2_and_the_file_is_written_all_the_same(run: Run, conf: Path, tmp_path: Path) -> None:
    """Nobody knows the director's address: the placeholder is found by the check of what was written."""
    output = tmp_path / "cluster.yaml"

    result = run("import", "--director", f"d1={conf}", "-o", str(output))

    assert result.exit_code == 2
    assert "PLACEHOLDER" in output.read_text()
    assert f"{conf}: error: directors: the address of d1 is written nowhere; give it with --address d1=ADDRESS" in (
        result.stdout.splitlines()
    )
    assert any(
        line.startswith(f"{output}:") and "ADDRESS-OF-THIS-DIRECTOR" in line for line in result.stdout.splitlines()
    )


def test_json_has_everything(run: Run, conf: Path) -> None:
    document = json.loads(run(*arguments(conf), "--json").stdout)

    assert yaml.safe_load(document["text"])["cluster"] == "imported"
    assert document["output"] is None
    assert document["findings"] is not None
    assert {remark["fate"] for remark in document["remarks"]} == {"taken", "dropped"}
    assert document["remarks"][0].keys() == {"file", "line", "keyword", "fate", "severity", "said", "way_out"}


def test_tables_and_ldirectord_are_read_too_also_from_standard_input(run: Run, tmp_path: Path) -> None:
    """`ssh lb1 ipvsadm -Sn | lbmaster import --ipvsadm lb1=-`."""
    (tmp_path / "l.cf").write_text("virtual=172.28.128.201:80\n\treal=172.28.128.10:80 gate\n")
    table = "-A -t 172.28.128.200:80 -s rr\n-a -t 172.28.128.200:80 -r 172.28.128.10:80 -g -w 1\n"

    result = run(
        *("import", "--ipvsadm", "d1=-", "--ldirectord", str(tmp_path / "l.cf"), "--address", "d1=172.28.128.30/24"),
        *("--name", "172.28.128.10=web1", "--cluster", "shop"),
        text=table,
    )

    found = yaml.safe_load(result.stdout)
    assert found["cluster"] == "shop"
    assert found["real_servers"] == {"web1": "172.28.128.10"}
    assert len(found["services"]) == 2


def test_the_config_id_is_the_director_s_name_or_what_is_given(run: Run, conf: Path) -> None:
    """keepalived -i."""
    conf.write_text(CONF.replace("lb_algo rr", "@d1 lb_algo wrr\n@high lb_algo lc"))

    def scheduler(*more: str) -> str:
        return str(yaml.safe_load(run(*arguments(conf), *more).stdout)["services"][0]["scheduler"])

    assert scheduler() == "wrr"
    assert scheduler("--config-id", "d1=high") == "lc"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ((), "there is nothing to import"),
        (("--director", "d1"), "--director 'd1': write it with an equals sign"),
        (("--director", "D 1=x"), "--director: 'D 1' is not a name"),
        (("--director", "d1=/nowhere/x"), "cannot read /nowhere/x: No such file or directory"),
        (("--director", "d1=/"), "cannot read /: Is a directory"),
        (("--ldirectord", "/dev/null"), "there is no VRRP instance and no virtual service in it"),
        (("--ldirectord", "/dev/null", "--address", "d1=nowhere"), "--address: 'nowhere' is not an address"),
        (("--ldirectord", "/dev/null", "--name", "1.2.3.4=A B"), "--name: 'A B' is not a name"),
        (("--ldirectord", "/dev/null", "--cluster", "A B"), "--cluster: 'A B' is not a name"),
        (("--director", "d1=/dev/null", "--director", "d1=/dev/null"), "--director names a director twice"),
        (("--ldirectord", "/dev/zero"), "it is larger than"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_right(run: Run, given: tuple[str, ...], error: str) -> None:
    result = run("import", *given)

    assert result.exit_code == 2
    assert error in result.stderr


def test_a_binary_file_is_refused_and_latin_1_is_read(run: Run, conf: Path) -> None:
    """Umlauts in old comments are no reason to fail."""
    conf.write_bytes(b"# gr\xfc\xdfe\n" + CONF.encode())
    assert run(*arguments(conf)).exit_code == 0

    conf.write_bytes(CONF.encode() + b"\0")
    assert "it is a binary file" in run(*arguments(conf)).stderr


def test_an_output_that_cannot_be_written_is_an_error(run: Run, conf: Path, tmp_path: Path) -> None:
    result = run(*arguments(conf), "-o", str(tmp_path / "no" / "x"))

    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        1,
        f"Error: cannot write {tmp_path}/no/x: No such file or directory",
    )


def test_files_that_keepalived_skips_are_errors(run: Run, conf: Path) -> None:
    """An executable include is not read by it; that is easily overlooked."""
    (conf.parent / "conf.d" / "b.conf").write_text("global_defs { }\n")
    (conf.parent / "conf.d" / "b.conf").chmod(0o755)
    os.mkfifo(conf.parent / "conf.d" / "c.conf")

    errors = [line for line in run(*arguments(conf)).stderr.splitlines() if ": error: include: " in line]

    assert [line.split(": ")[4] for line in errors] == [
        "it is executable, and keepalived skips such files; give it, or strike the line",
        "it is no regular file; give it, or strike the line",
    ]


def test_a_file_that_vanished_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="No such file"):
        Disk().read(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.conf", ["a.conf"]),
        ("{a,b}.conf", ["a.conf", "b.conf"]),
        ("{a,b{c,d}}x", ["ax", "bcx", "ax", "bdx"]),
        ("{foo/{,cat},bar}", ["foo/", "bar", "foo/cat", "bar"]),
        ("{a", ["{a"]),
    ],
)
def test_braces_stand_for_all_they_can(pattern: str, expected: list[str]) -> None:
    """What comes twice is read once, which `find` sees to."""
    assert list(alternatives(pattern)) == expected


def test_braces_do_not_explode() -> None:
    assert len(list(alternatives("{a,b,c,d,e,f,g,h}" * 20))) <= MAX_ALTERNATIVES

"""What operators decide, on real kernels: a switchover that loses nothing, and a drain that waits for what is open."""

from __future__ import annotations

import json

from tests.lab.bench import CLIENT, CLUSTER, D1, D2, MASTER, PORT, R1, R2, VIP, Bench, measured
from tests.lab.test_directors import IPVS, WEB

FILES = 7100
MEGABYTES = 48
DOWNLOAD_SECONDS = 16
REPORT = "/root/download.json"
"""What curl says of the download, when it is over."""


def _serve_a_large_file(bench: Bench) -> None:
    listening = f"ss -Htln sport = :{FILES}"
    for host in (R1, R2):
        bench.hosts.out(host, f"mkdir -p /srv/files; truncate -s {MEGABYTES}M /srv/files/large")
        start = "systemd-run -q --collect --unit=lab-files python3 -m http.server -d /srv/files"
        bench.hosts.out(host, f"systemctl -q is-active lab-files || {start} {FILES}")
        bench.hosts.until(lambda host=host: bench.hosts.out(host, listening), f"{host} serves files")


def _download(bench: Bench) -> None:
    """Begin a download through the VIP that takes its time."""
    rate = f"{MEGABYTES * 1024 // DOWNLOAD_SECONDS}k"
    said = '{"code": %{http_code}, "bytes": %{size_download}, "seconds": %{time_total}}'
    curl = f"curl -sS --limit-rate {rate} -o /dev/null -w '{said}' http://{VIP}:{FILES}/large"
    bench.hosts.out(
        CLIENT, f"cat >/root/download.sh; rm -f {REPORT}", stdin=f"{curl} >{REPORT}.part; mv {REPORT}.part {REPORT}\n"
    )
    bench.hosts.out(CLIENT, "(setsid sh /root/download.sh >/root/download.log 2>&1 </dev/null &)")
    bench.hosts.until(lambda: bench.hosts.open_connections(VIP, FILES), "the download begins")


def test_a_switchover_loses_nothing(bench: Bench) -> None:
    """A long download, a connection that is kept busy, and every new connection, over a switchover and back."""
    files = {"vip": "web", "port": FILES, "scheduler": "rr"}
    bench.push(bench.file([WEB, files], ipvs=IPVS))
    _serve_a_large_file(bench)
    keepalived = [bench.hosts.out(host, "systemctl show -p MainPID --value keepalived") for host in (D1, D2)]
    with bench.holding(VIP, PORT, DOWNLOAD_SECONDS + 8) as held:
        _download(bench)
        for port in (PORT, FILES):
            bench.hosts.until(lambda port=port: bench.hosts.knows(D2, VIP, port), "the connection is on the standby")
        for command, holder in (("--to " + D2 + " --reason test", D2), ("--back", D1)):
            answer = json.loads(bench.hosts.out(MASTER, f"lbmaster switchover web --json {command}", timeout=60))
            assert (answer["to"], answer["moved"]) == (holder, True), answer
            measured(f"switchover to {holder}, from the command to the VIP there", answer["took"])
            assert bench.holds(holder)
            assert bench.ask().failed == {}
        text, _ = bench.hosts.until(
            lambda: bench.lab.run(CLIENT, f"cat {REPORT}", check=False).stdout, "the download's end", within=90
        )
    download = json.loads(text)
    assert (download["code"], download["bytes"]) == (200, MEGABYTES * 1024 * 1024)
    assert download["seconds"] > DOWNLOAD_SECONDS / 2
    assert (held.error, len(held.answered)) == ("", 1)
    measured("longest pause of a connection over a switchover and back", held.gap)
    assert held.gap < 3
    assert [bench.hosts.out(host, "systemctl show -p MainPID --value keepalived") for host in (D1, D2)] == keepalived


def test_a_drain_waits_for_what_is_open(bench: Bench) -> None:
    """New connections go elsewhere at once; what is open goes on, is counted, and the command says when it is gone."""
    port = PORT + 1  # the standby may have kept connections of another test, which would count
    bench.push(bench.file([WEB | {"port": port}]))
    with bench.holding(VIP, port, 40) as held:
        (ours,) = bench.hosts.open_connections(VIP, port)
        (line,) = [
            it for it in bench.hosts.out(D1, "ipvsadm -Lnc").splitlines() if it.split()[3:5] == [ours, f"{VIP}:{port}"]
        ]
        drained, other = (R1, R2) if bench.addresses[R1]["address"] in line else (R2, R1)
        done = bench.lab.run(MASTER, f"lbmaster drain {drained} --deadline 4s", timeout=60, check=False)
        assert done.returncode == 1, done.stdout
        assert f"{drained} has 1 connection left after" in done.stdout
        seen = bench.ask(ports=port)
        assert (dict(seen.failed), set(seen.answered)) == ({}, {other})
        (decided,) = json.loads(bench.hosts.out(MASTER, "lbmaster status --json"))["clusters"][CLUSTER]["interventions"]
        assert (decided["what"], decided["connections"], decided["overdue"]) == (drained, 1, True)
    assert (held.error, set(held.answered)) == ("", {drained})
    done = bench.lab.run(MASTER, f"lbmaster drain {drained} --deadline 60s", timeout=90, check=False)
    assert done.returncode == 0, done.stdout
    assert f"{drained} has no connections any more" in done.stdout
    bench.hosts.out(MASTER, f"lbmaster undrain {drained}")
    bench.shared(ports=port)

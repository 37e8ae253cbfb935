"""Every kind of check and what pools do, on real kernels: programs that answer wrongly while their ports are open.

One push has a service for each of them. What is wrong on a real server is a word in a file there (`page_server.py`); what is
looked at are the IPVS tables of both directors, the journal and `lbmaster status`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.lab.bench import CLIENT, CLUSTER, D1, D2, D3, MASTER, PORT, QUESTIONS, R1, R2, VIP, Bench, figures

from story.steps import on_each

HERE: Final = Path(__file__).resolve().parent
FAULTS: Final = "/run/lab-pages"
CHECKS: Final = "/etc/lbminion/checks"
SITE: Final = "shop.example"
QUICK: Final = {"interval": 1.0, "timeout": 1.0, "rise": 1, "fall": 2}
FIRST: Final = 7101
"""The services of kinds have ports from this one on; `lab-answerer` has those of pools, and `page_server.py` all of these."""
DAYS: Final = {R1: 100, R2: 5}
"""In so many days the certificates of the real servers end."""
SLOW_SECONDS: Final = 6

PROGRAM: Final = """#!/bin/bash
exec 3<>"/dev/tcp/$LB_ADDRESS/$LB_PORT" || exit 2
read -r -t 1 said <&3
echo "$LB_ADDRESS is $said"
[[ $said == well ]]
"""
"""What an operator might put on directors: it asks the real server that it is told, and ends with 1 for a bad answer."""


@dataclass(frozen=True)
class Kind:
    """One kind of check: its service, and what answers there."""

    port: int
    answers: str
    check: Mapping[str, Any]
    protocol: str = "tcp"

    @property
    def service(self) -> dict[str, Any]:
        """As the cluster file has it."""
        weights = {"real_servers": {R1: 2, R2: 3}}
        return {"vip": "web", "port": self.port, "protocol": self.protocol, "check": QUICK | self.check} | weights


KINDS: Final = {
    "http": Kind(FIRST, "http", {"http": {"path": "/health", "status": 200, "body": "all is well"}}),
    "https": Kind(FIRST + 1, "https", {"https": {"path": "/health", "sni": SITE, "body": f"well at {SITE}"}}),
    "dns": Kind(FIRST + 2, "dns", {"dns": "lab.example"}, "udp"),
    "dns over TCP": Kind(FIRST + 3, "dns-tcp", {"dns": "lab.example"}),
    "udp": Kind(FIRST + 4, "udp", {"udp": {"send": "ping", "expect": "pong"}}, "udp"),
    "exec": Kind(FIRST + 5, "line", {"exec": "lab-check", "interval": 2.0, "timeout": 2.0}),
}
NOWHERE: Final = Kind(FIRST + 6, "http", {"http": "/nowhere"})
MISSING: Final = Kind(FIRST + 7, "line", {"exec": "lab-missing"})
SORRY, SLOW, FLAPPING = PORT, PORT + 1, PORT + 2
BESIDE: Final = {SORRY: FIRST + 8, SLOW: FIRST + 9, FLAPPING: FIRST + 10}
"""Where the health of the services of pools is asked: the answerer tells clients who answers, and is never ill."""
RISE: Final = 2
"""Of the service that flaps."""
MOST: Final = 16
"""So many times as many probes it takes at most."""
FASTEST: Final = 0.9
"""Of an interval: up to a tenth of it is left out, by chance, so that probes do not go in step."""
POOLS: Final[dict[int, dict[str, Any]]] = {
    SORRY: {"pool": {"sorry_server": D3}, "real_servers": {R1: 2, R2: 3}},
    SLOW: {"pool": {"slow_start": SLOW_SECONDS}, "real_servers": {R1: 100, R2: 100}},
    FLAPPING: {"real_servers": {R1: 2, R2: 3}},
}


@dataclass(frozen=True)
class Wrong:
    """What is wrong with the answers of a kind, as `page_server.py` knows it, and what directors say of it."""

    kind: str
    how: str
    reason: str


ROUNDS: Final = (
    (
        Wrong("http", "status", "status 503"),
        Wrong("https", "nameless", "unrecognized name"),
        Wrong("dns", "refused", "the answer is REFUSED"),
        Wrong("dns over TCP", "refused", "the answer is REFUSED"),
        Wrong("udp", "wrong", "no answer within 1 s"),
        Wrong("exec", "ill", "lab-check ended with 1: 172.28.128.10 is ill"),
    ),
    (
        Wrong("http", "body", "the body (status 200) does not hold 'all is well'"),
        Wrong("https", "body", f"the body (status 200) does not hold 'well at {SITE}'"),
        Wrong("dns", "silent", "no answer within 1 s"),
        Wrong("dns over TCP", "silent", "no answer within 1 s"),
    ),
)
"""What is wrong at the same time on one real server: waiting is what costs."""


def pem(days: int) -> str:
    """Make a key and a certificate of SITE that ends in so many days, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, SITE)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=days))
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (text + made.sign(key, SHA256()).public_bytes(Encoding.PEM)).decode()


# --- the scene ---------------------------------------------------------------------------------------------------------


class Scene:
    """The bench with all services of this file pushed; `since`: the cursor before that."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.hosts = bench, bench.hosts
        self.names = {words["address"]: name for name, words in bench.addresses.items()}
        self.since = self.hosts.cursor()

    def weights(self, director: str) -> dict[int, dict[str, int]]:
        """Name the weights in a director's table, by port and real server."""
        found: dict[int, dict[str, int]] = {}
        for words in map(str.split, self.bench.table(director)):
            if words[0] == "-a" and words[2].startswith(f"{VIP}:"):
                at = found.setdefault(int(words[2].rpartition(":")[2]), {})
                at[self.names[words[4].partition(":")[0]]] = int(words[words.index("-w") + 1])
        return found

    def until(self, wanted: Mapping[int, Mapping[str, int]], what: str) -> None:
        """Wait until both directors have these weights, by port."""

        def there(director: str) -> bool:
            seen = self.weights(director)
            return all(seen.get(port) == weights for port, weights in wanted.items())

        for director in (D1, D2):
            self.hosts.until(lambda it=director: there(it), f"{director}: {what}")  # type: ignore[misc]

    def now(self) -> int:
        """Where the journal stands; reads no more of it than is ours."""
        events = self.hosts.events(self.since)
        return int(events[-1]["cursor"]) if events else self.since

    def told(self, event_type: str, port: int, since: int = 0, **data: object) -> dict[str, list[dict[str, Any]]]:
        """Wait until both directors have told of a service, and return what each did."""

        def look() -> dict[str, list[dict[str, Any]]] | None:
            found: dict[str, list[dict[str, Any]]] = {D1: [], D2: []}
            for event in self.hosts.events(since or self.since):
                of = event["data"].get("service", "").partition(" ")[2] == f"{VIP}:{port}"
                if of and event["type"] == event_type and data.items() <= event["data"].items():
                    found[event["minion"]].append(event["data"])
            return found if all(found.values()) else None

        return self.hosts.until(look, f"{event_type} of port {port} by both directors")[0]

    def failing(self, host: str, port: int, said: str) -> bool:
        """Whether `lbmaster status` has a line for a real server that fails by both directors, and says why."""
        return self.fails_in(self.hosts.lbmaster(f"status {CLUSTER}"), host, port, said)

    def fails_in(self, status: str, host: str, port: int, said: str) -> bool:
        """Whether the text of a status has that line."""
        where = f"{VIP}:{port} -> {self.bench.addresses[host]['address']}:{port}"
        wanted = ("FAILS", where, f"{D1}, {D2}", f"{host}: ", said)
        return any(all(it in line for it in wanted) for line in status.splitlines())

    @contextmanager
    def wrong(self, host: str, faults: Mapping[int, str]) -> Iterator[None]:
        """Something is wrong with ports of a real server, as long as the block runs."""
        lines = [f"echo {how} >{FAULTS}/{port}" for port, how in faults.items()]
        self.hosts.out(host, f"mkdir -p {FAULTS}; {'; '.join(lines)}")
        try:
            yield
        finally:
            self.hosts.out(host, "rm -f " + " ".join(f"{FAULTS}/{port}" for port in faults))

    def closed(self, host: str, ports: Sequence[int]) -> list[str]:
        """Name those of a real server's TCP ports to which the client gets no connection."""
        address = self.bench.addresses[host]["address"]
        tries = [f"timeout 5 bash -c ': </dev/tcp/{address}/{port}' 2>/dev/null || echo {port}" for port in ports]
        return self.hosts.out(CLIENT, "; ".join(tries)).split()

    def put(self, director: str, name: str) -> None:
        """Be a director's operator: put the program there under a name."""
        path = f"{CHECKS}/{name}"
        self.hosts.out(director, f"mkdir -p {CHECKS} && cat >{path} && chmod 755 {CHECKS} {path}", stdin=PROGRAM)


def _serve(scene: Scene, host: str) -> None:
    kinds = [*KINDS.values(), NOWHERE, MISSING]
    words = [f"{it.answers}:{it.port}" for it in kinds] + [f"http:{port}" for port in BESIDE.values()]
    scene.hosts.out(host, f"rm -rf {FAULTS}; cat >/root/pages.pem", stdin=pem(DAYS[host]))
    scene.hosts.out(host, "cat >/root/page_server.py", stdin=(HERE / "page_server.py").read_text())
    scene.hosts.out(
        host, f"systemd-run -q --collect --unit=lab-pages python3 /root/page_server.py {' '.join(sorted(words))}"
    )
    open_port = f"ss -Htln sport = :{KINDS['https'].port} | grep -q ."
    scene.hosts.until(lambda: scene.bench.lab.run(host, open_port, check=False).returncode == 0, f"{host} serves")


def _stop(bench: Bench) -> Callable[[str], object]:
    gone = f"systemctl stop lab-pages; rm -rf {FAULTS} /root/pages.pem /root/page_server.py"
    return lambda host: bench.hosts.out(host, gone)


def _push_without_gates(scene: Scene, file: Mapping[str, Any]) -> None:
    """Push it although some checks will pass nowhere: a gate would rightly take it back."""
    command = "lbmaster push --json --below-floor --no-gates -"
    done = scene.bench.lab.run(MASTER, command, stdin=json.dumps(file), timeout=90, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    scene.hosts.until(lambda: scene.bench.held({"web": D1}), "the VIP is held by its home")


@pytest.fixture(scope="module")
def scene(bench: Bench) -> Iterator[Scene]:
    """All services in one push. At the end they are no more, and neither is what is known of their real servers."""
    made = Scene(bench)
    services = [it.service for it in (*KINDS.values(), NOWHERE, MISSING)]
    for port, more in POOLS.items():
        check = QUICK | ({"rise": RISE} if port == FLAPPING else {}) | {"http": "/health", "port": BESIDE[port]}
        services.append({"vip": "web", "port": port, "check": check} | more)
    with ExitStack() as undone:
        undone.callback(on_each, lambda director: bench.hosts.out(director, f"rm -rf {CHECKS}"), (D1, D2))
        undone.callback(on_each, _stop(bench), (R1, R2))
        on_each(lambda host: _serve(made, host), (R1, R2))
        on_each(lambda director: made.put(director, "lab-check"), (D1, D2))
        real_servers = {name: bench.addresses[name] for name in (R1, R2, D3)}
        undone.callback(_push_without_gates, made, bench.file([{"vip": "web", "port": PORT}]))
        _push_without_gates(made, bench.file(services, real_servers=real_servers))
        yield made


# --- kinds -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_real_servers_that_answer_have_their_weights_on_both_directors(scene: Scene, kind: str) -> None:
    """Each of its own, on the standby as on the active one."""
    scene.until({KINDS[kind].port: {R1: 2, R2: 3}}, f"both have their weights by {kind}")


@dataclass(frozen=True)
class Seen:
    """What was seen while much was wrong: the status, the events of both directors, the TCP ports that were not open."""

    status: str
    events: list[dict[str, Any]]
    closed: list[str]


@pytest.fixture(scope="module")
def seen(scene: Scene) -> list[Seen]:
    """In each of `ROUNDS` one real server lost its weight by all these kinds, on both directors, and got it back."""
    found = []
    for wrongs in ROUNDS:
        kinds = [KINDS[it.kind] for it in wrongs]
        ports = {it.port for it in kinds}
        scene.until({port: {R1: 2, R2: 3} for port in ports}, "both have their weights")
        since = scene.now()
        with scene.wrong(R1, {KINDS[it.kind].port: it.how for it in wrongs}):
            scene.until({port: {R1: 0, R2: 3} for port in ports}, f"it is out: {', '.join(it.kind for it in wrongs)}")
            status, _ = scene.hosts.until(lambda at=wrongs: _status_of(scene, at), "the status says why")  # type: ignore[misc]
            closed = scene.closed(R1, [it.port for it in kinds if it.protocol == "tcp"])
        scene.until({port: {R1: 2, R2: 3} for port in ports}, "both have their weights again")
        found.append(Seen(status, scene.hosts.events(since), closed))
    return found


def _status_of(scene: Scene, wrongs: Sequence[Wrong]) -> str:
    """Give the status when it says why everything fails, "" before."""
    status = scene.hosts.lbmaster(f"status {CLUSTER}")
    return status if all(scene.fails_in(status, R1, KINDS[it.kind].port, it.reason) for it in wrongs) else ""


@pytest.mark.parametrize(
    ("number", "wrong"),
    [pytest.param(number, it, id=f"{it.kind}, {it.how}") for number, wrongs in enumerate(ROUNDS) for it in wrongs],
)
def test_a_real_server_that_answers_wrongly_has_no_weight(
    scene: Scene, seen: list[Seen], number: int, wrong: Wrong
) -> None:
    """On neither director, although its port is open; events of both say why, and so does the status."""
    it, then = KINDS[wrong.kind], seen[number]
    assert scene.fails_in(then.status, R1, it.port, wrong.reason)
    assert str(it.port) not in then.closed
    wanted = {"service": f"{it.protocol} {VIP}:{it.port}", "real_server": R1, "state": "down"}
    for director in (D1, D2):
        reasons = [
            event["data"]["reason"]
            for event in then.events
            if event["type"] == "health.changed"
            and event["minion"] == director
            and wanted.items() <= event["data"].items()
        ]
        assert any(wrong.reason in reason for reason in reasons), f"{director}: {reasons}"


def test_a_certificate_that_ends_soon_is_told_and_takes_nobody_out(scene: Scene) -> None:
    """Only of the real server that has it, by both directors. It was fetched with the name in the handshake, or not at all."""
    port = KINDS["https"].port
    for director, told in scene.told("check.certificate", port).items():
        assert [(it["real_server"], round(it["days"])) for it in told] == [(R2, DAYS[R2])], director
    scene.until({port: {R1: 2, R2: 3}}, "both have their weights")


# --- checks that never passed ------------------------------------------------------------------------------------------


def test_a_check_that_never_passed_anywhere_is_suspect(scene: Scene) -> None:
    """A page that nobody has: both directors say so, and half of the real servers take connections all the same."""
    for told in scene.told("check.suspect", NOWHERE.port).values():
        assert [it["kind"] for it in told] == ["http"]
    _half(scene, NOWHERE.port)
    scene.hosts.until(lambda: scene.failing(R1, NOWHERE.port, "status 404"), "the status says why", within=20)


def test_a_program_that_is_not_there_fails_until_the_operator_puts_it_there(scene: Scene) -> None:
    """Each director says where it is missing; with the program there, no push is needed."""
    missing = f"{CHECKS}/lab-missing: no such file"
    for told in scene.told("check.suspect", MISSING.port, kind="exec").values():
        assert missing in told[0]["reason"]
    _half(scene, MISSING.port)
    scene.hosts.until(lambda: scene.failing(R1, MISSING.port, missing), f"the status says: {missing}", within=20)
    try:
        on_each(lambda director: scene.put(director, "lab-missing"), (D1, D2))
        scene.until({MISSING.port: {R1: 2, R2: 3}}, "both have their weights by the program")
    finally:
        on_each(lambda director: scene.hosts.out(director, f"rm -f {CHECKS}/lab-missing"), (D1, D2))


def _half(scene: Scene, port: int) -> None:
    """Wait until just one of the two real servers has its weight, on each director."""
    ways = ({R1: 2, R2: 0}, {R1: 0, R2: 3})
    for director in (D1, D2):
        scene.hosts.until(lambda it=director: scene.weights(it)[port] in ways, f"{director}: one of two is in")  # type: ignore[misc]


# --- pools -------------------------------------------------------------------------------------------------------------


def test_a_sorry_server_answers_while_all_are_down(scene: Scene) -> None:
    """It alone, on both directors; the first real server that is back has all connections again, and the sorry server none."""
    ill = {BESIDE[SORRY]: "status"}
    scene.until({SORRY: {R1: 2, R2: 3, D3: 0}}, "both have their weights, and the sorry server none")
    since = scene.now()
    with scene.wrong(R2, ill):
        with scene.wrong(R1, ill):
            scene.until({SORRY: {R1: 0, R2: 0, D3: 1}}, "the sorry server alone has a weight")
            assert dict(scene.bench.ask(VIP, SORRY).answered) == {D3: QUESTIONS}
        scene.until({SORRY: {R1: 2, R2: 0, D3: 0}}, "the first that answers has its weight, and the sorry server none")
        assert dict(scene.bench.ask(VIP, SORRY).answered) == {R1: QUESTIONS}
    for told in scene.told("pool.sorry", SORRY, since).values():
        assert told[0]["sorry"] == D3
    for told in scene.told("pool.recovered", SORRY, since).values():
        assert told[0]["seconds"] > 0
    scene.until({SORRY: {R1: 2, R2: 3, D3: 0}}, "both are in again")


def test_flapping_makes_the_way_back_longer(scene: Scene) -> None:
    """Out for the second time, it has to pass twice as many probes in a row; both directors say how many."""
    both = {FLAPPING: {R1: 2, R2: 3}}
    scene.until(both, "both have their weights")
    since = scene.now()
    for _ in range(2):
        with scene.wrong(R1, {BESIDE[FLAPPING]: "status"}):
            scene.until({FLAPPING: {R1: 0, R2: 3}}, "it is out")
        scene.until(both, "it is in again")
    flapping = scene.told("health.flapping", FLAPPING, since, real_server=R1)
    events = [it for it in scene.hosts.events(since) if it["data"].get("real_server") == R1]
    for director in (D1, D2):
        said = flapping[director][0]
        assert said["rise"] == RISE * min(2 ** (said["times"] - 1), MOST) > RISE
        told = [it["data"] for it in events if it["minion"] == director and it["data"]["service"] == said["service"]]
        back = next(it for it in told[told.index(said) :] if it.get("state") == "up")
        assert back["failing_seconds"] >= (said["rise"] - 1) * QUICK["interval"] * FASTEST
        figures.append(f"health: {said['rise']} good answers after a second fall took {back['failing_seconds']:.1f} s")


def test_a_slow_start_raises_the_weight_in_steps(scene: Scene) -> None:
    """By tenths, and never back; the other real server keeps its weight."""
    scene.until({SLOW: {R1: 100, R2: 100}}, "both have their weights")
    with scene.wrong(R1, {BESIDE[SLOW]: "status"}):
        scene.until({SLOW: {R1: 0, R2: 100}}, "it is out")
    steps: dict[str, list[int]] = {D1: [], D2: []}

    def risen(director: str) -> bool:
        weights = scene.weights(director)[SLOW]
        steps[director].append(weights[R1])
        return weights == {R1: 100, R2: 100}

    on_each(lambda it: scene.hosts.until(lambda: risen(it), f"{it}: it has its whole weight"), (D1, D2))
    for director, weights in steps.items():
        assert weights == sorted(weights), director
        assert set(weights) <= {0, 1, *range(10, 101, 10)}, director
        assert len(set(weights) - {0, 100}) >= 2, f"{director}: {weights}"

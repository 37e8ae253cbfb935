"""One set of guests, pushed one cluster file after the other: push it, ask its VIPs from the client, look at each host.

What the tests of single features share. The guests get, once, what a site would have around the balancers: IPv6 addresses,
a VLAN, a client network that is routed, and a program that answers with its host's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from microvm.lab import Lab
from story.cast import THREE
from story.hosts import Hosts, Unexpected
from story.steps import join, on_each, start_master

HERE: Final = Path(__file__).resolve().parent
D1, D2, D3 = THREE.directors
R1, R2 = THREE.real_servers
CLIENT, MASTER, CLUSTER = THREE.client, THREE.master, THREE.cluster
VIP: Final = "172.28.128.200"
VIP6: Final = "fd00:28::200"
GATEWAY: Final = "172.28.128.201"
FAR: Final = "172.28.129"
"""The network of far clients: the real servers reach it by way of GATEWAY, a VIP, where a test has one."""
VLAN, BOND = "172.28.130", "172.28.131"
"""The networks of eth0.100, a VLAN, and of bond0, which has another VLAN below it: the guests have one card each."""
PORT: Final = 7000
PORTS: Final = range(PORT, PORT + 20)
QUESTIONS: Final = 50

_BOND_UP: Final = (
    "ip link add link eth0 name eth0.101 type vlan id 101"
    " && ip link show bond0 >/dev/null 2>&1 || ip link add bond0 type bond; "
    "ip link set bond0 type bond mode active-backup miimon 100 && ip link set eth0.101 master bond0 && ip link set bond0 up"
)

figures: list[str] = []
"""What was measured: printed when the tests have ended."""


def addresses(lab: Lab) -> dict[str, dict[str, str]]:
    """The addresses of every host, as the cluster file wants them."""
    numbers = {host.name: host.address.rpartition(".")[2] for host in lab.topology.hosts}
    return {
        name: {"address": f"172.28.128.{number}", "address6": f"fd00:28::{number}"} for name, number in numbers.items()
    }


@dataclass(frozen=True)
class Answers:
    """Who answered how many questions, what went wrong how often, and the slowest answer in seconds."""

    answered: Mapping[str, int]
    failed: Mapping[str, int]
    slowest: float


@dataclass
class Held:
    """A connection that was kept busy: who answered, the longest pause in seconds, and what ended it ("": nothing)."""

    answered: dict[str, int] = field(default_factory=dict)
    gap: float = 0.0
    error: str = ""


class Bench:
    """The guests, with the master set up and every host joined."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.hosts = Hosts(lab, cast=THREE)
        self.addresses = addresses(lab)
        start_master(self.hosts)
        join(self.hosts)
        on_each(self._equip, self.addresses)

    def _equip(self, host: str) -> None:
        """Give a guest what a site would have around the balancers; safe to do again."""
        address6 = self.addresses[host]["address6"]
        number = address6.rpartition(":")[2]
        lines = [
            f"ip address replace {address6}/64 dev eth0 nodad",
            "modprobe -a sctp 8021q dummy bonding",
            "ip link show eth0.100 >/dev/null 2>&1 || ip link add link eth0 name eth0.100 type vlan id 100",
            f"ip link set eth0.100 up; ip address replace {VLAN}.{number}/24 dev eth0.100",
            f"ip link show eth0.101 >/dev/null 2>&1 || {{ {_BOND_UP}; }}",
            # A new bond has LRO on, which the doctor rightly minds.
            f"ethtool -K bond0 lro off; ip address replace {BOND}.{number}/24 dev bond0",
        ]
        if host == CLIENT:
            lines += [f"ip address replace {FAR}.{last}/24 dev eth0" for last in (50, 51)]
        else:
            lines += [f"ip route replace {FAR}.0/24 dev eth0"]
        self.hosts.out(host, "set -e; " + "; ".join(lines))
        if host != CLIENT:
            self.answer_on(host)

    def answer_on(self, host: str) -> None:
        """Start the program that answers with the host's name, unless it runs."""
        words = " ".join(f"{protocol}:{port}" for protocol in ("tcp", "udp", "sctp") for port in (*PORTS, 7080))
        start = f"systemd-run -q --collect --unit=lab-answerer python3 /root/answerer.py {words}"
        self.hosts.out(host, "cat >/root/answerer.py", stdin=(HERE / "answerer.py").read_text())
        self.hosts.out(host, f"systemctl -q is-active lab-answerer || {start}")

    # --- pushing ----------------------------------------------------------------------------------------------------

    def file(self, services: Sequence[Mapping[str, Any]], **parts: Any) -> dict[str, Any]:
        """A cluster file of two directors and two real servers with their addresses, the VIP `web`; `parts` replace."""
        usual: dict[str, Any] = {
            "cluster": CLUSTER,
            "directors": {name: self.addresses[name] for name in (D1, D2)},
            "real_servers": {name: self.addresses[name] for name in (R1, R2)},
            "vips": {"web": f"{VIP}/24"},
            "instances": {"web": {"home": D1}},
            "services": list(services),
        }
        return usual | parts

    def push(self, file: Mapping[str, Any]) -> dict[str, Any]:
        """Push it, and wait until each VRRP instance is held: by its home, if it has one. Returns the push's answer."""
        text = json.dumps(file)  # JSON is YAML; the dumper of YAML would write aliases
        # Each test has real servers of its own, so that a push takes out those of the test before it: below the floor.
        command = "lbmaster push --json --below-floor -"
        done = self.lab.run(MASTER, command, stdin=text, timeout=90, check=False)
        answer: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
        if done.returncode or answer.get("outcome") != "converged":
            raise Unexpected(f"the push did not converge:\n{text}\n{done.stdout}\n{done.stderr}")
        homes = {name: words.get("home") for name, words in file.get("instances", {}).items()}
        self.hosts.until(lambda: self.held(homes), "every VIP is held by its home")
        return answer

    def held(self, homes: Mapping[str, str | None]) -> bool:
        """Whether every VRRP instance has one holder, and that its home if it has one."""
        holders = self.hosts.holders()
        return None not in holders.values() and all(homes.get(name) in (None, host) for name, host in holders.items())

    def holds(self, host: str, *instances: str) -> bool:
        """Whether the host holds these VRRP instances."""
        holders = self.hosts.holders()
        return all(holders[name] == host for name in instances or holders)

    # --- looking ----------------------------------------------------------------------------------------------------

    def table(self, host: str) -> list[str]:
        """The IPVS table, as `ipvsadm -Sn` prints it."""
        return self.hosts.out(host, "ipvsadm -Sn").splitlines()

    def transition(self, since: int, host: str, instance: str, state: str) -> float:
        """Wait for the transition and return its time, by the hosts' clock."""
        seen, _ = self.hosts.until(
            lambda: self.hosts.event(since, "vrrp.transition", host, instance=instance, state=state),
            f"{instance} becomes {state} on {host}",
        )
        return float(seen["time"])

    # --- asking -----------------------------------------------------------------------------------------------------

    def ask(
        self, address: str = VIP, ports: str | int = PORT, protocol: str = "tcp", *, source: str = "", how: str = "ask"
    ) -> Answers:
        """Ask 50 times from the client; `how`: "ask" from a socket each, "repeat" all from one."""
        command = f"python3 - {how} {protocol} {address} {ports} {QUESTIONS} {source}"
        script = (HERE / "asker.py").read_text()
        return Answers(**json.loads(self.hosts.out(CLIENT, command, timeout=300, stdin=script)))

    def shared(self, *arguments: Any, **keywords: Any) -> Answers:
        """Ask 50 times and see that the two real servers answered half of them each."""
        seen = self.ask(*arguments, **keywords)
        if seen.failed or seen.answered != {R1: QUESTIONS // 2, R2: QUESTIONS // 2}:
            raise Unexpected(f"{arguments or VIP}: wanted {QUESTIONS // 2} answers of each real server, but saw {seen}")
        return seen

    @contextmanager
    def holding(self, address: str, port: int, seconds: float) -> Iterator[Held]:
        """Keep one connection busy while the block runs, and until `seconds` are over."""
        held = Held()
        report = "/root/held.json"
        self.hosts.out(CLIENT, "cat >/root/asker.py", stdin=(HERE / "asker.py").read_text())
        start = f"python3 /root/asker.py hold {address} {port} {seconds} {report}"
        # One that a test has left behind when it failed would write the same report.
        clear = f"systemctl -q is-active lab-held && systemctl stop lab-held; rm -f {report}"
        self.hosts.out(CLIENT, f"{clear}; systemd-run -q --collect --unit=lab-held {start}")
        self.hosts.until(lambda: self.hosts.open_connections(address, port), "a connection")
        yield held
        text, _ = self.hosts.until(
            lambda: self.lab.run(CLIENT, f"cat {report}", check=False).stdout,
            "the connection's end",
            within=seconds + 30,
        )
        seen = json.loads(text)
        held.answered, held.gap, held.error = seen["answered"], seen["gap"], seen["error"]


def measured(what: str, seconds: float) -> None:
    """Remember a figure for the end of the run."""
    figures.append(f"{what}: {seconds:.2f} s")

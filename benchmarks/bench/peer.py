"""Salt beside us: its master and N minions on the same kind of network, asked for the smallest change there is.

Installed from PyPI into an environment of its own, which is kept for the next run.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .figures import Spread, spread
from .network import MASTER, Network
from .processes import BenchmarkError, Processes, cpu_seconds, family, proportional, resident

VERSION = "3008.3"
_HERE = Path(__file__).parent
_STATE = """\
{path}:
  file.managed:
    - contents: "{{{{ pillar['value'] }}}}"
"""


def cache() -> Path:
    """Where Salt's environment is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lbmaster-bench" / f"salt-{VERSION}"


class Salt:
    """An installed Salt. Figures already measured are remembered: memory is read while the push of 50 is set up."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "bin"
        self.memory: dict[str, Spread] = {}
        self.kept_order = True

    @classmethod
    def install(cls) -> Salt:
        """Install it where it is missing. Raises `BenchmarkError` with what pip said."""
        folder = cache()
        if not (folder / "installed").exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            for command in (
                ["python3", "-m", "venv", "--clear", str(folder)],
                [str(folder / "bin" / "pip"), "install", "-q", f"salt=={VERSION}"],
            ):
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
                if done.returncode:
                    raise BenchmarkError(f"Salt cannot be installed: {done.stderr.strip()[-500:]}")
            (folder / "installed").touch()
        return cls(folder)

    def push(self, size: int, rounds: int) -> dict[str, Spread]:
        """Measure `state.apply` of a changed file on all minions: `push` in s, `cpu` per minion in ms."""
        with self._running(size) as (ask, master, minions):
            members = [pid for minion in minions for pid in family(minion)]
            cpu, seconds = [], []
            for value in range(rounds + 1):
                before = _sum(cpu_seconds, members)
                seconds.append(float(ask({"do": "apply", "value": f"{value}-{time.time()}"})["seconds"]))
                cpu.append((_sum(cpu_seconds, members) - before) * 1000 / size)
            self._note_memory(size, master, minions)
        # The first one also fetches the state file: it is not counted.
        return {"push": spread(seconds[1:]), "cpu": spread(cpu[1:])}

    def events(self, count: int) -> dict[str, Spread]:
        """Measure events of one minion on the master's event bus: `latency` in ms, `rate` per s.

        `kept_order` then says whether they came in the order in which they were sent; Salt does not promise it.
        """
        with self._running(1) as (ask, _, __):
            ask({"do": "fire", "count": 20, "pause": 0.02})
            single = ask({"do": "fire", "count": count, "pause": 0.02})
            flood = ask({"do": "fire", "count": count * 5, "pause": 0.0})
        self.kept_order = bool(flood["ordered"])
        latency = spread([1000 * value for value in single["latencies"]])
        return {"latency": latency, "rate": spread([flood["rate"]])}

    def idle(self, seconds: float) -> Spread:
        """Measure the CPU of one idle minion, in % of a core."""
        with self._running(1) as (_, __, minions):
            members = family(minions[0])
            time.sleep(10)
            before = _sum(cpu_seconds, members)
            time.sleep(seconds)
            return spread([100 * (_sum(cpu_seconds, members) - before) / seconds])

    def _note_memory(self, size: int, master: int, minions: list[int]) -> None:
        self.memory[f"master {size}"] = spread([_sum(resident, family(master))])
        self.memory[f"master {size} pss"] = spread([_sum(proportional, family(master))])
        self.memory["minion"] = spread([_sum(resident, family(minion)) for minion in minions])

    # --- running it -------------------------------------------------------------------------------------------------

    @contextmanager
    def _running(self, size: int) -> Iterator[tuple[Any, int, list[int]]]:
        with (
            tempfile.TemporaryDirectory(prefix="lbsalt-") as temporary,
            Network() as network,
            Processes(Path(temporary)) as processes,
        ):
            folder = Path(temporary)
            _configure_master(folder)
            master = processes.start(
                "salt-master", network.within(network.master, self._bin / "salt-master", "-c", folder / "master")
            )
            minions = []
            for number in range(1, size + 1):
                configuration = _configure_minion(folder, number)
                command = network.within(network.add(number), self._bin / "salt-minion", "-c", configuration)
                minions.append(processes.start(f"salt-minion-{number}", command).pid)
            command = network.within(
                network.master, self._bin / "python", _HERE / "salt_client.py", folder / "master" / "master"
            )
            with (
                (folder / "client.log").open("w") as log,
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
                ) as client,
            ):
                try:
                    yield _asker(client, size, processes), master.pid, minions
                finally:
                    client.kill()


def _asker(client: subprocess.Popen[str], size: int, processes: Processes) -> Any:
    def ask(request: dict[str, Any]) -> dict[str, Any]:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(json.dumps(request) + "\n")
        client.stdin.flush()
        answer: dict[str, Any] = json.loads(client.stdout.readline() or '{"error": "the client ended"}')
        if "error" in answer:
            said = "; ".join(filter(None, map(processes.log, ("client", "salt-master", "salt-minion-1"))))
            raise BenchmarkError(f"Salt: {answer['error']}; {said}")
        return answer

    ask({"do": "wait", "count": size, "within": 60 + 6 * size})
    return ask


def _sum(count: Callable[[int], float], pids: Iterable[int]) -> float:
    """Add up over processes, of which some may have ended: Salt starts one for each job."""
    total = 0.0
    for pid in pids:
        with suppress(OSError, BenchmarkError):
            total += count(pid)
    return total


def _configure_master(folder: Path) -> None:
    states, configuration = folder / "states", folder / "master"
    states.mkdir()
    configuration.mkdir()
    (states / "tiny.sls").write_text(_STATE.format(path=f"{folder}/files/{{{{ grains['id'] }}}}"))
    (folder / "files").mkdir()
    (configuration / "master").write_text(
        f"user: root\ninterface: {MASTER}\nauto_accept: True\nroot_dir: {folder}/m\nlog_level: error\n"
        f"file_roots:\n  base:\n    - {states}\n"
    )


def _configure_minion(folder: Path, number: int) -> Path:
    configuration = folder / f"minion-{number}"
    configuration.mkdir()
    (configuration / "minion").write_text(
        f"user: root\nid: s{number}\nmaster: {MASTER}\nroot_dir: {folder}/s{number}\nlog_level: error\n"
        f"enable_fqdns_grains: False\nmodule_dirs:\n  - {_HERE / 'salt_modules'}\n"
    )
    return configuration

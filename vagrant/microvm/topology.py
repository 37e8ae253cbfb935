"""The topology file: which hosts the lab has, their addresses, roles and memory. Pure: text in, frozen values out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from microvm.errors import LabError

ROLES = ("realserver", "director", "client", "master")
EXTRAS_OF_ROLE = {"realserver": "minion", "director": "minion", "master": "master"}
NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
DEFAULT_MEMORY = 192
MEMORY = range(96, 8193)


@dataclass(frozen=True)
class Host:
    """One guest: its name, IPv4 address (without prefix), roles, and memory in MB."""

    name: str
    address: str
    roles: tuple[str, ...]
    memory: int

    @property
    def extras(self) -> tuple[str, ...]:
        """The extras of the lbmaster distribution that the roles need, sorted; empty for a mere client."""
        return tuple(sorted({EXTRAS_OF_ROLE[role] for role in self.roles if role in EXTRAS_OF_ROLE}))


@dataclass(frozen=True)
class Topology:
    """The network (IPv4, with prefix length), the bridge's own address in it, and the hosts in file order."""

    network: str
    gateway: str
    hosts: tuple[Host, ...]

    @property
    def prefix(self) -> int:
        """The prefix length of the network."""
        return ipaddress.IPv4Network(self.network).prefixlen

    def host(self, name: str) -> Host:
        """Return the host of that name; raises ``LabError`` that lists the names there are."""
        for host in self.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.hosts)
        raise LabError(f"no host {name!r} in this lab; there are {names}")


def parse(text: str, source: str) -> Topology:
    """Read a topology from YAML; ``source`` names the file in messages. Raises ``LabError`` listing all that is wrong."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LabError(f"{source}: not valid YAML: {error}") from error
    problems: list[str] = []
    topology = _topology(data, problems)
    if problems or topology is None:
        raise LabError("\n".join(f"{source}: {problem}" for problem in problems))
    return topology


def _topology(data: object, problems: list[str]) -> Topology | None:
    if not isinstance(data, dict):
        problems.append("must be a mapping with the keys 'network' and 'hosts'")
        return None
    problems += _unknown(data, {"network", "hosts"}, "")
    network = _network(data.get("network"), problems)
    entries = data.get("hosts")
    if not isinstance(entries, dict) or not entries:
        problems.append("hosts: must map at least one host name to its address and roles")
        return None
    if network is None:
        return None
    gateway = str(next(network.hosts()))
    hosts = [host for name, entry in entries.items() if (host := _host(name, entry, network, problems))]
    owners: dict[str, str] = {gateway: "the bridge of the lab (the network's first address)"}
    for host in hosts:
        if host.address in owners:
            problems.append(f"hosts.{host.name}.address: {host.address} belongs to {owners[host.address]} already")
        owners.setdefault(host.address, host.name)
    return Topology(str(network), gateway, tuple(hosts))


def _network(value: object, problems: list[str]) -> ipaddress.IPv4Network | None:
    try:
        network = ipaddress.IPv4Network(str(value))
    except ValueError as error:
        problems.append(f"network: {value!r} is not an IPv4 network such as 172.28.128.0/24 ({error})")
        return None
    if network.prefixlen > 29:
        problems.append(f"network: {network} is too small; a /29 is the smallest that makes a lab")
        return None
    return network


def _host(name: object, entry: object, network: ipaddress.IPv4Network, problems: list[str]) -> Host | None:
    where = f"hosts.{name}"
    before = len(problems)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        problems.append(f"{where}: a host name is 1 to 32 of a-z, 0-9 and '-', and begins with a letter")
    if not isinstance(entry, dict):
        problems.append(f"{where}: must be a mapping such as {{address: 172.28.128.10, roles: [realserver]}}")
        return None
    problems += _unknown(entry, {"address", "roles", "memory"}, where + ".")
    address = _address(entry.get("address"), network, where, problems)
    roles = entry.get("roles")
    if not isinstance(roles, list) or not roles or not all(role in ROLES for role in roles):
        problems.append(f"{where}.roles: {roles!r} must be a list of at least one of {', '.join(ROLES)}")
    memory = entry.get("memory", DEFAULT_MEMORY)
    if not isinstance(memory, int) or isinstance(memory, bool) or memory not in MEMORY:
        problems.append(f"{where}.memory: {memory!r} must be a number of MB from {MEMORY[0]} to {MEMORY[-1]}")
    if len(problems) > before or not (isinstance(roles, list) and isinstance(memory, int)):
        return None
    return Host(str(name), address, tuple(role for role in ROLES if role in roles), memory)


def _address(value: object, network: ipaddress.IPv4Network, where: str, problems: list[str]) -> str:
    try:
        address = ipaddress.IPv4Address(str(value))
    except ValueError:
        problems.append(f"{where}.address: {value!r} is not an IPv4 address such as {network.network_address + 2}")
        return ""
    if address not in network or address in (network.network_address, network.broadcast_address):
        problems.append(f"{where}.address: {address} is not a host address of the network {network}")
    return str(address)


def _unknown(entry: Mapping[object, object], known: set[str], where: str) -> list[str]:
    return [f"{where}{key}: unknown key; known are {', '.join(sorted(known))}" for key in entry if key not in known]

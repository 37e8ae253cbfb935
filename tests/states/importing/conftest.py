from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from lbstates.importing import Imported, Order, import_cluster
from lbstates.importing.importer import Given
from lbstates.importing.remarks import Unreadable

INSTANCE = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n 10.0.0.100/24\n }\n"
SERVICE = "virtual_server 10.0.0.100 80 {\n protocol TCP\n lb_algo rr\n lb_kind DR\n"
REAL = " real_server 10.0.0.10 80 {\n weight 1\n }\n"
BOTH = f"{INSTANCE}}}\n{SERVICE}{REAL}}}\n"


@dataclass
class Shelf:
    """Files in memory, in one directory; `None` is one that cannot be read. A pattern is a name, or all with a `*`."""

    texts: dict[str, str | None] = field(default_factory=dict)

    def find(self, pattern: str, directory: str) -> Sequence[str]:
        begin, star, end = pattern.partition("*")
        return sorted(
            name for name in self.texts if (name.startswith(begin) and name.endswith(end) if star else name == pattern)
        )

    def read(self, name: str) -> str:
        text = self.texts[name]
        if text is None:
            raise Unreadable("Permission denied")
        return text

    def directory(self, name: str) -> str:
        return "/etc/keepalived"


Import = Callable[..., Imported]


@pytest.fixture
def keepalived() -> Import:
    """Import one keepalived.conf of d1 (10.0.0.2/24), or several: by director."""

    def run(text: str | dict[str, str], files: dict[str, str | None] | None = None, **order: object) -> Imported:
        texts = {"d1": text} if isinstance(text, str) else text
        given = [Given(name, f"{name}.conf", one) for name, one in texts.items()]
        addresses = {name: [f"10.0.0.{number}/24"] for number, name in enumerate(texts, 2)}
        return import_cluster(Order(**{"keepalived": given, "addresses": addresses, **order}), Shelf(files or {}))

    return run


def said(imported: Imported, fate: str) -> list[str]:
    """The remarks with this fate, without their ways out."""
    return [f"{one.place}: {one.keyword}: {one.said}" for one in imported.remarks if one.fate == fate]


def data(imported: Imported) -> dict[str, Any]:
    """The cluster file as it is read back."""
    loaded: dict[str, Any] = yaml.safe_load(imported.text)
    return loaded


def service(imported: Imported) -> dict[str, Any]:
    """The only service in it."""
    (one,) = data(imported)["services"]
    return dict(one)

"""minion.toml: what join writes is what run reads, and what is wrong is said with file and field."""

from __future__ import annotations

from pathlib import Path

import pytest
import zmq

from lbminion.config import BadConfig, Config, Master, read_config, write_config
from lbminion.enrol import split_address
from lbservice.keys import fingerprint


def good() -> Config:
    public, _ = zmq.curve_keypair()
    return Config("netology1", Master("172.28.128.50", 7411, 7412, fingerprint(public), "ab" * 32), log_level="debug")


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    """Defaults stay out of the file, so that a later release can change them."""
    path = tmp_path / "etc" / "minion.toml"
    config = good()
    write_config(path, config)
    assert read_config(path) == config
    assert "sample_interval" not in path.read_text()


def test_a_missing_file_says_to_join(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="run `lbminion join`"):
        read_config(tmp_path / "minion.toml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "netology1"', "name = 3", r"\$\.name"),
        ('name = "netology1"', 'name = "../x"', r"\$\.name"),
        ("broadcast_port = 7411", "broadcast_port = 70000", r"\$\.master\.broadcast_port"),
        ('log_level = "debug"', "typo = 1", "typo"),
        ("abab", "zz", "64 hexadecimal digits"),
        ('fingerprint = "', 'fingerprint = "1', "no fingerprint"),
        ("\n[master]", "\n[master", "not TOML"),
        ('log_level = "debug"', 'keepalived_manager = "runit"', "keepalived_manager"),
        ('log_level = "debug"', "sample_interval = 0.0", "sample_interval"),
    ],
)
def test_each_mistake_names_file_and_field(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "minion.toml"
    write_config(path, good())
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadConfig, match=said) as caught:
        read_config(path)
    assert str(path) in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "minion.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadConfig, match="cannot read"):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("172.28.128.50", ("172.28.128.50", 7413)),
        ("172.28.128.50:99", ("172.28.128.50", 99)),
        ("master.example", ("master.example", 7413)),
        ("2001:db8::5", ("2001:db8::5", 7413)),
        ("[2001:db8::5]:99", ("2001:db8::5", 99)),
        ("[2001:db8::5]", ("2001:db8::5", 7413)),
    ],
)
def test_an_address_may_carry_a_port(text: str, parts: tuple[str, int]) -> None:
    assert split_address(text) == parts


@pytest.mark.parametrize("text", ["", ":7413", "host:", "host:x", "[::1]:x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        split_address(text)

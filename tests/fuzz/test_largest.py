"""What is as large as the limits allow, and as nasty as it can be, takes a bounded time and a bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lbstates.clusterfile import check
from lbstates.clusterfile.parser import MOST_FINDINGS
from lbstates.clusterfile.reader import MAX_VALUES

from .largest import INPUTS

ROOT = Path(__file__).resolve().parents[2]
SECONDS, MEGABYTES = 10, 500
"""Measured: at most 3.5 s of a slow processor, and 300 MB. (Without the limits: 25 s, and 1 GB.)"""


@pytest.mark.parametrize("name", INPUTS)
def test_time_and_memory_are_bounded(name: str) -> None:
    """Messages, dumps, and cluster files that are YAML bombs: refused, with an error of their own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), *sys.path]))}
    command = [sys.executable, "-m", "tests.fuzz.largest", name]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert said.returncode == 0, said.stderr
    took = json.loads(said.stdout)
    assert took["seconds"] < SECONDS, took
    assert took["megabytes"] < MEGABYTES, took


def test_a_file_of_too_many_values_is_refused_with_the_way_out() -> None:
    (finding,) = check("services: [" + "1," * (MAX_VALUES + 1) + "]").findings
    assert finding.describe("c.yaml") == (
        f"c.yaml:1: error: services[{MAX_VALUES - 2}]: the file has more than {MAX_VALUES} values;"
        " make several clusters of it"
    )


@pytest.mark.parametrize("text", ["services: [" + "1," * 3000 + "]", "services: [" + "{}," * 3000 + "]"])
def test_of_too_many_findings_the_first_are_told(text: str) -> None:
    """Those of fields, and those of fields together; and that there are more."""
    checked = check(text)
    assert checked.cluster is None
    assert len(checked.findings) == MOST_FINDINGS + 1
    assert checked.findings[-1].wrong == "there is more than this"
    assert {finding.severity for finding in checked.findings} == {"error"}

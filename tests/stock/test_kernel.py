"""Which modules a guest begins with."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stock.kernel import StockKernel

from microvm.errors import LabError

DEPENDENCIES = """\
kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs.ko
kernel/fs/netfs.ko: kernel/lib/base.ko
kernel/net/9p/9pnet.ko: kernel/lib/base.ko
kernel/lib/base.ko:
kernel/drivers/virtio-pci.ko:
"""


@pytest.fixture
def kernel(tmp_path: Path) -> StockKernel:
    kernel = StockKernel(tmp_path / "stock-6.1.0-1-amd64")
    kernel.modules.mkdir(parents=True)
    (kernel.modules / "modules.dep").write_text(DEPENDENCIES)
    return kernel


def test_modules_come_after_what_they_need_and_once(kernel: StockKernel) -> None:
    """And are found by the name that the kernel gives them, which has no dashes."""
    files = [file.name for file in kernel.needed_for("9p", "virtio_pci")]
    assert files == ["base.ko", "9pnet.ko", "netfs.ko", "9p.ko", "virtio-pci.ko"]


def test_a_module_that_is_not_there_is_named_with_the_kernel(kernel: StockKernel) -> None:
    with pytest.raises(LabError, match=r"6\.1\.0-1-amd64 has no module overlay"):
        kernel.needed_for("overlay")

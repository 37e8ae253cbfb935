"""The cluster file: its text, its model, and everything that can be found wrong with it.

The only package of lbstates with pydantic and PyYAML, which a minion does not have: nothing that a minion needs may
import it. Text in, values out; who reads the file from disk is somebody else.
"""

from .findings import ClusterFileError, Finding
from .model import Cluster, schema
from .parser import Checked, check, parse

__all__ = ["Checked", "Cluster", "ClusterFileError", "Finding", "check", "parse", "schema"]

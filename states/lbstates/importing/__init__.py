"""Other tools' configuration -> one cluster file: keepalived.conf, `ipvsadm -Sn` output and ldirectord.cf.

Text in, text and remarks out, pure: who reads files passes `Files`. Like `clusterfile` it is for the master only.
Nothing that a user wrote raises anything but `CannotImport`; what is not understood becomes a remark with its line.
"""

from .importer import Imported, Order, import_cluster
from .remarks import CannotImport, Files, Place, Remark

__all__ = ["CannotImport", "Files", "Imported", "Order", "Place", "Remark", "import_cluster"]

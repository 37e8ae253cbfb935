"""What can be wrong with a desired state on a host. What is wrong in a cluster file: `clusterfile.findings`."""

from __future__ import annotations


class StateError(Exception):
    """Base of the errors of this package that a minion has to report."""


class BadState(StateError):
    """A desired state that this version does not understand completely, or that holds what no cluster file could.

    It was signed, so either the master is newer than this minion, or its key is in the wrong hands.
    """


class CannotDerive(StateError):
    """This host cannot be what the desired state wants it to be; the operator of the host can change that.

    `place` names the object, `wrong` what is the matter with it, `way_out` what to do.
    """

    def __init__(self, place: str, wrong: str, way_out: str) -> None:
        super().__init__(f"{place}: {wrong}; {way_out}")
        self.place = place
        self.wrong = wrong
        self.way_out = way_out

"""The one error of the lab: what failed, where, and the way out, as text for the person at the terminal."""


class LabError(Exception):
    """Something of the lab did not work; the message names the place and the way out."""

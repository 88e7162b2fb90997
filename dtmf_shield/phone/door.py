"""The three ways a key may travel from a telephone."""

from enum import StrEnum


class Door(StrEnum):
    """How a key travels from the caller's phone."""

    INBAND = "inband"
    RFC4733 = "rfc4733"
    INFO = "info"

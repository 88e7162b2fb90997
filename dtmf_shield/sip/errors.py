"""The closed set of errors that a peer's message can cause in this package."""

from __future__ import annotations

from dtmf_shield.base.errors import PeerError


class Reject(PeerError):  # noqa: N818 - named by what is done
    """A malformed request that has enough of a Via to be answered with ``status``.

    ``echo`` holds the raw Via, From, To, Call-ID and CSeq fields to copy into the answer. Texts name the fault
    and never quote the message.
    """

    def __init__(
        self,
        reason: str,
        status: int = 400,
        *,
        echo: tuple[tuple[str, str], ...] = (),
        extra: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(reason, status)
        self.reason = reason
        self.echo = echo
        self.extra = extra


class Drop(PeerError):  # noqa: N818 - named by what is done
    """A message that gets no answer: hopeless, a malformed response, an ACK."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, 0)
        self.reason = reason


class Malformed(PeerError):  # noqa: N818 - what the value is
    """One header value or URI that its grammar does not allow; the parser turns it into Reject or Drop."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason, status)
        self.reason = reason


class SdpError(PeerError):
    """A session description that cannot be read (400) or not be met (488)."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason, status)
        self.reason = reason

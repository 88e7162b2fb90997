"""Where roots go so that this host cannot rewrite them: a file on another mount, or a log host.

Syslog messages are RFC 5424, over UDP (RFC 5426) or over TCP with octet counting (RFC 6587 section 3.4.1), in clear:
a root holds hashes, counts and times, no secret. Neither transport confirms that the log host has written anything.
"""

from __future__ import annotations

import datetime
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from dtmf_shield.audit.roots import Root

TIMEOUT_S: Final = 5.0
"""For one connection or write; it is the anchoring thread that waits, nobody else."""
PRIORITY: Final = 13 * 8 + 5
"""RFC 5424 section 6.2.1: facility 13 (log audit), severity 5 (notice)."""
APP_NAME: Final = "dtmf-shield"
MESSAGE_ID: Final = "audit-root"


class Anchor(Protocol):
    """A place for roots. ``send`` raises OSError where it fails; sending a root twice does no harm."""

    name: str

    def send(self, roots: Sequence[Root]) -> None:
        """Send roots, oldest first."""


class FileAnchor:
    """Appends one line a root. Opened anew each time: a mount may come and go."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    def send(self, roots: Sequence[Root]) -> None:
        """Append and synchronise."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write("".join(root.line() + "\n" for root in roots).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())


class SyslogAnchor:
    """Sends one message a root, over a connection of its own each time: roots come once a minute."""

    def __init__(self, host: str, port: int, *, tcp: bool) -> None:
        self._address, self._tcp = (host, port), tcp
        self.name = f"syslog {'tcp' if tcp else 'udp'} {host} port {port}"

    def send(self, roots: Sequence[Root]) -> None:
        """Send; over TCP, wait until the host has taken every byte."""
        messages = [syslog_message(root, host=socket.gethostname(), process_id=os.getpid()) for root in roots]
        if self._tcp:
            self._send_stream(b"".join(b"%d %s" % (len(message), message) for message in messages))
            return
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(TIMEOUT_S)
            sock.connect(self._address)
            for message in messages:
                sock.send(message)

    def _send_stream(self, content: bytes) -> None:
        with socket.create_connection(self._address, TIMEOUT_S) as sock:
            sock.sendall(content)
            # What the kernel has taken is not yet there. A host that dies before it has read resets the connection.
            sock.shutdown(socket.SHUT_WR)
            # One that has read and neither answers nor hangs up has it all the same.
            with suppress(TimeoutError):
                while sock.recv(4_096):
                    pass


def syslog_message(root: Root, *, host: str, process_id: int) -> bytes:
    """Return the RFC 5424 message of a root: the JSON line is its MSG part."""
    at = datetime.datetime.fromtimestamp(root.at, datetime.UTC).isoformat(timespec="milliseconds")
    header = f"<{PRIORITY}>1 {at.replace('+00:00', 'Z')} {_name(host)} {APP_NAME} {process_id} {MESSAGE_ID} -"
    return f"{header} {root.line()}".encode("ascii")


def _name(host: str) -> str:
    # RFC 5424 section 6: PRINTUSASCII, at most 255 characters, "-" for none.
    return "".join(character for character in host if "!" <= character <= "~")[:255] or "-"

"""The test phone's session descriptions: one audio stream, with telephone events or without (RFC 8866, RFC 3264).

Reads only the lines a phone needs: connection, audio port, payload types, direction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

EVENT_PAYLOAD_TYPE: Final = 101
CODEC_NAMES: Final = {0: "PCMU", 8: "PCMA", 9: "G722"}


@dataclass(frozen=True, slots=True)
class Media:
    """Where one side wants its RTP, and as what. `event_payload_type` None: no telephone events."""

    address: str
    port: int
    payload_types: tuple[int, ...] = (0, 8)
    event_payload_type: int | None = EVENT_PAYLOAD_TYPE
    direction: str = "sendrecv"

    def common(self, other: Media) -> tuple[int, int | None]:
        """Return the codec both have (the other's order), and the event type to send. Raises ValueError for none."""
        for payload_type in other.payload_types:
            if payload_type in self.payload_types:
                both = self.event_payload_type is not None and other.event_payload_type is not None
                return payload_type, other.event_payload_type if both else None
        raise ValueError("no common codec")


def write_sdp(media: Media, session: int, version: int = 1) -> bytes:
    """Return `media` as a session description."""
    family = "IP6" if ":" in media.address else "IP4"
    types = [*media.payload_types]
    lines = [
        "v=0",
        f"o=phone {session} {version} IN {family} {media.address}",
        "s=test phone",
        f"c=IN {family} {media.address}",
        "t=0 0",
    ]
    mapped = [f"a=rtpmap:{payload_type} {CODEC_NAMES[payload_type]}/8000" for payload_type in types]
    if media.event_payload_type is not None:
        types.append(media.event_payload_type)
        mapped += [
            f"a=rtpmap:{media.event_payload_type} telephone-event/8000",
            f"a=fmtp:{media.event_payload_type} 0-15",
        ]
    lines += [f"m=audio {media.port} RTP/AVP {' '.join(map(str, types))}", *mapped]
    lines += ["a=ptime:20", f"a={media.direction}"]
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def read_sdp(body: bytes) -> Media:
    """Read the first audio stream of a session description. Raises ValueError where there is none."""
    text = body.decode("utf-8", "replace")
    audio = re.search(r"^m=audio (\d+) RTP/AVP ([\d ]+)\r?$", text, re.M)
    connections = re.findall(r"^c=IN IP[46] ([0-9A-Fa-f:.]+)\r?$", text, re.M)
    if audio is None or not connections:
        raise ValueError("no audio stream with an address")
    event = re.search(r"^a=rtpmap:(\d+) telephone-event/8000", text, re.M | re.I)
    direction = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\r?$", text, re.M)
    types = tuple(int(word) for word in audio[2].split() if int(word) in CODEC_NAMES)
    return Media(
        address=connections[-1],
        port=int(audio[1]),
        payload_types=types,
        event_payload_type=int(event[1]) if event else None,
        direction=direction[1] if direction else "sendrecv",
    )

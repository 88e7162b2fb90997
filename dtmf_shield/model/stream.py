"""Stream parameters: what signalling has agreed for one leg's audio (RFC 3264, RFC 4733)."""

from __future__ import annotations

import enum

import msgspec

TELEPHONE_EVENT_NONE = -1
"""Payload type value of a leg that agreed on no telephone-event."""
NARROWBAND_HZ = 8_000
WIDEBAND_HZ = 16_000


class Codec(enum.StrEnum):
    """Audio codecs the media process can decode, mask and encode (RFC 3551 static payload types)."""

    PCMU = "PCMU"
    PCMA = "PCMA"
    G722 = "G722"

    @property
    def payload_type(self) -> int:
        """Static RTP payload type."""
        return {Codec.PCMU: 0, Codec.PCMA: 8, Codec.G722: 9}[self]

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the audio. The RTP clock rate is 8000 Hz for all three (RFC 3551 section 4.5.2 for G722)."""
        return WIDEBAND_HZ if self is Codec.G722 else NARROWBAND_HZ


class MaskStyle(enum.StrEnum):
    """What is heard in place of a key."""

    NOISE = "noise"
    SILENCE = "silence"
    TONE = "tone"
    BEEP = "beep"


class ShieldMode(enum.StrEnum):
    """How one leg's audio is treated on its way to the other side."""

    MUTE = "mute"
    """Nothing but the filler passes. Every leg is born so."""
    GUARD = "guard"
    """Outside captures: keypad tones and events are removed, everything else passes."""
    CAPTURE = "capture"
    """During a capture: lower thresholds and level gate, longer tails; a key mutes both legs until its echo is gone."""


class Strictness(msgspec.Struct, frozen=True):
    """What a capture asks for one leg's audio beyond the server's policy, which is never loosened by it."""

    style: MaskStyle | None = None
    """What is heard in place of a key; None: as the server says. The one that tells less of the two holds."""
    withheld: bool = False
    """Whether the filler is heard in place of everything the leg says."""
    unrecorded: bool = False
    """Whether the recording holds silence in its place."""


AS_THE_SERVER_SAYS = Strictness()


class Direction(enum.StrEnum):
    """Whether the peer of this leg wants audio from us and sends any (RFC 3264 section 6.1), seen from us."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


class StreamParameters(msgspec.Struct, frozen=True, kw_only=True):
    """One leg's agreed audio stream.

    ``remote_host`` is an IPv4 or IPv6 literal. Only packets from exactly ``remote_host:remote_port`` are
    believed; everything else is dropped and counted.
    """

    remote_host: str
    remote_port: int
    codec: Codec
    payload_type: int
    telephone_event_payload_type: int = TELEPHONE_EVENT_NONE
    ptime_ms: int = 20
    direction: Direction = Direction.SENDRECV


class MediaPorts(msgspec.Struct, frozen=True):
    """The local addresses a call's two legs receive on. ``row`` is the call's row in the media tables."""

    row: int
    caller_port: int
    agent_port: int
    caller_port_v6: int = 0
    agent_port_v6: int = 0


class LegStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of one leg since it was opened. Packets unless the name says otherwise."""

    received: int = 0
    sent: int = 0
    lost: int = 0
    late: int = 0
    bad_source: int = 0
    malformed: int = 0
    events_removed: int = 0
    masked_samples: int = 0
    jitter_us: int = 0
    """Interarrival jitter of the moment (RFC 3550 section 6.4.1), in microseconds; no counter."""
    keys_tones: int = 0
    keys_events: int = 0
    """Keys registered from this leg, by the door that brought them first: tones, or RFC 4733 events. Counts only."""

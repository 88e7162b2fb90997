"""SDP (RFC 8866): read what matters for one audio stream, write our own. Strict about structure, indifferent to
attributes it does not know. It never copies a peer's text into what we send.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import msgspec

from dtmf_shield.model.stream import TELEPHONE_EVENT_NONE, Codec, Direction
from dtmf_shield.sip.errors import SdpError
from dtmf_shield.sip.uri import is_ip

SDP_BYTES_MAX: Final = 8_192
SDP_LINES_MAX: Final = 400
MEDIA_LINES_MAX: Final = 16
FORMATS_MAX: Final = 64
PTIME_DEFAULT_MS: Final = 20
PTIME_MIN_MS, PTIME_MAX_MS = 10, 60
CONTENT_TYPE: Final = "application/sdp"

_LINE: Final = re.compile(r"([a-z])=(.*)")
_CONNECTION: Final = re.compile(r"IN IP([46]) ([0-9A-Fa-f:.]{2,45})(?:/\d+){0,2}")
_MEDIA: Final = re.compile(r"([A-Za-z0-9\-]{1,32}) (\d{1,5})(?:/(\d{1,3}))? ([A-Za-z0-9/\-]{1,64}) (\S.*)")
_ORIGIN: Final = re.compile(r"\S+ \d{1,20} \d{1,20} IN IP[46] \S+")
_RTPMAP: Final = re.compile(r"(\d{1,3}) +([A-Za-z0-9.\-+]+)/(\d{1,6})(?:/(\d+))?")
_FORMAT: Final = re.compile(r"[A-Za-z0-9.\-*_+]{1,32}")
_DIRECTIONS: Final = frozenset(direction.value for direction in Direction)
_STATIC: Final = {str(codec.payload_type): codec for codec in Codec}


class MediaLine(msgspec.Struct, frozen=True):
    """Kind, protocol and first format of an m= line: what refusing it needs."""

    kind: str
    protocol: str
    format: str


class _Audio(msgspec.Struct, frozen=True, kw_only=True):
    """An audio stream as one side describes it, ``direction`` in that side's own view.

    ``codecs`` are in that side's order. ``layout`` are all m= lines, ``audio_index`` is the place of this one.
    """

    host: str
    port: int
    codecs: tuple[Codec, ...]
    telephone_event_payload_type: int = TELEPHONE_EVENT_NONE
    ptime_ms: int = PTIME_DEFAULT_MS
    direction: Direction = Direction.SENDRECV
    layout: tuple[MediaLine, ...] = ()
    audio_index: int = 0


class RemoteAudio(_Audio, frozen=True, kw_only=True):
    """What a peer describes; hold by 0.0.0.0 is read into ``direction``."""


class LocalAudio(_Audio, frozen=True, kw_only=True):
    """What we describe: one of these is one body."""


@dataclass(slots=True)
class _Section:
    line: re.Match[str]
    connection: str = ""
    attributes: list[tuple[str, str]] | None = None


def read_audio(body: bytes) -> RemoteAudio:
    """Read the first usable audio stream of a session description.

    Raises SdpError: 400 for what is no SDP, 488 for what we cannot serve.
    """
    session_connection, session_attributes, sections = _sections(body)
    layout = tuple(_layout(section.line) for section in sections)
    for index, section in enumerate(sections):
        line = section.line
        if line[1] != "audio" or line[4].upper() != "RTP/AVP" or int(line[2]) == 0:
            continue
        host = section.connection or session_connection
        if not host:
            raise SdpError("no connection address")
        attributes = section.attributes or []
        codecs, event_type = _formats(line[5].split(), attributes)
        if not codecs:
            continue
        return RemoteAudio(
            host=host,
            port=int(line[2]),
            codecs=codecs,
            telephone_event_payload_type=event_type,
            ptime_ms=_ptime_ms(attributes),
            direction=_direction(attributes, session_attributes, host),
            layout=layout,
            audio_index=index,
        )
    raise SdpError("no audio stream that we can serve", 488)


def write_audio(audio: LocalAudio, session_id: int, version: int) -> bytes:
    """Write a session description: our stream at ``audio_index`` of the layout, every other stream refused."""
    family = "IP6" if ":" in audio.host else "IP4"
    lines = [
        "v=0",
        f"o=- {session_id} {version} IN {family} {audio.host}",
        "s=-",
        f"c=IN {family} {audio.host}",
        "t=0 0",
    ]
    layout = audio.layout or (MediaLine("audio", "RTP/AVP", "0"),)
    for index, media in enumerate(layout):
        if index == audio.audio_index:
            lines += _audio_lines(audio)
        else:
            # RFC 3264 section 6: a refused stream keeps its place, with port zero.
            lines.append(f"m={media.kind} 0 {media.protocol} {media.format}")
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def _audio_lines(audio: LocalAudio) -> list[str]:
    formats = [str(codec.payload_type) for codec in audio.codecs]
    # RFC 3551 section 4.5.2: G722 is 8000 too, though it samples at twice that.
    maps = [f"a=rtpmap:{codec.payload_type} {codec.value}/8000" for codec in audio.codecs]
    event_type = audio.telephone_event_payload_type
    if event_type != TELEPHONE_EVENT_NONE:
        formats.append(str(event_type))
        # RFC 4733 section 2.4.1: events 0-15 are the DTMF keys.
        maps += [f"a=rtpmap:{event_type} telephone-event/8000", f"a=fmtp:{event_type} 0-15"]
    media = f"m=audio {audio.port} RTP/AVP {' '.join(formats)}"
    return [media, *maps, f"a=ptime:{audio.ptime_ms}", f"a={audio.direction.value}"]


def _sections(body: bytes) -> tuple[str, list[tuple[str, str]], list[_Section]]:
    connection, attributes, sections, seen = "", list[tuple[str, str]](), list[_Section](), ""
    for kind, value in _lines(body):
        if kind == "m":
            match = _MEDIA.fullmatch(value)
            if match is None or int(match[2]) > 65_535 or len(sections) >= MEDIA_LINES_MAX:
                raise SdpError("illegal m= line")
            sections.append(_Section(match, attributes=[]))
        elif kind == "c":
            address = _connection(value)
            if sections:
                sections[-1].connection = sections[-1].connection or address
            else:
                connection = address
        elif kind == "a":
            name, _, text = value.partition(":")
            target = sections[-1].attributes if sections else attributes
            if target is not None:
                target.append((name, text))
        elif kind == "o" and not _ORIGIN.fullmatch(value):
            raise SdpError("illegal o= line")
        if not sections:
            seen += kind
    # RFC 8866 section 5: v, o, s and t are mandatory and come in this order.
    if not seen.startswith("vos") or "t" not in seen:
        raise SdpError("mandatory SDP lines missing")
    return connection, attributes, sections


def _lines(body: bytes) -> list[tuple[str, str]]:
    if len(body) > SDP_BYTES_MAX:
        raise SdpError("SDP too long", 488)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise SdpError("SDP is not UTF-8") from None
    raw = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(raw) > SDP_LINES_MAX:
        raise SdpError("too many SDP lines", 488)
    found = []
    for line in raw:
        match = _LINE.fullmatch(line)
        if match is None or "\x00" in line or "\r" in line:
            raise SdpError("illegal SDP line")
        found.append((match[1], match[2]))
    if found[0] != ("v", "0"):
        raise SdpError("not SDP version 0")
    return found


def _connection(value: str) -> str:
    match = _CONNECTION.fullmatch(value.strip())
    if match is None:
        if value.startswith("IN IP"):
            raise SdpError("connection address is no literal", 488)
        raise SdpError("illegal c= line")
    if not is_ip(match[2]) or (match[1] == "6") != (":" in match[2]):
        raise SdpError("illegal c= line")
    return match[2]


def _layout(line: re.Match[str]) -> MediaLine:
    first = line[5].split()[0]
    if not _FORMAT.fullmatch(first) or len(line[5].split()) > FORMATS_MAX:
        raise SdpError("illegal m= line")
    return MediaLine(line[1], line[4], first)


def _formats(formats: list[str], attributes: list[tuple[str, str]]) -> tuple[tuple[Codec, ...], int]:
    """Return our codecs in the peer's order and the telephone-event payload type at 8000 Hz."""
    names: dict[str, tuple[str, str]] = {}
    for name, value in attributes:
        if name == "rtpmap" and (match := _RTPMAP.match(value)):
            names[match[1]] = (match[2].upper(), match[3])
    codecs: list[Codec] = []
    event_type = TELEPHONE_EVENT_NONE
    for payload_type in formats:
        mapped = names.get(payload_type)
        static = _STATIC.get(payload_type)
        if static is not None and mapped in (None, (static.value, "8000")) and static not in codecs:
            codecs.append(static)
        elif mapped == ("TELEPHONE-EVENT", "8000") and event_type == TELEPHONE_EVENT_NONE:
            event_type = int(payload_type) if 96 <= int(payload_type) <= 127 else TELEPHONE_EVENT_NONE
    return tuple(codecs), event_type


def _ptime_ms(attributes: list[tuple[str, str]]) -> int:
    for name, value in attributes:
        if name == "ptime" and value.strip().isdigit() and len(value) <= 4:
            ptime_ms = int(value)
            if PTIME_MIN_MS <= ptime_ms <= PTIME_MAX_MS:
                return ptime_ms
    return PTIME_DEFAULT_MS


def _direction(
    attributes: list[tuple[str, str]], session_attributes: list[tuple[str, str]], host: str
) -> Direction:
    stated = Direction.SENDRECV
    for name, _ in (*session_attributes, *attributes):
        if name in _DIRECTIONS:
            stated = Direction(name)
    if host in ("0.0.0.0", "::"):  # noqa: S104 - RFC 2543 hold, RFC 3264 section 8.4
        receiving_off = {Direction.SENDRECV: Direction.SENDONLY, Direction.RECVONLY: Direction.INACTIVE}
        return receiving_off.get(stated, stated)
    return stated

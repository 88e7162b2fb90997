"""The live detector and masker over audio files, in 20 ms packets: what `detect` and `mask` of the command line do.

Reads WAV (PCM16, µ-law, A-law) and headerless `.ul`/`.al` (8 kHz mono), mono or stereo, 8 or 16 kHz. Each channel is
a leg of its own, at the file's rate.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.media import detector, masker
from dtmf_shield.media.codecs import g711
from dtmf_shield.media.dsp.tables import SAMPLE_RATE_HZ

PACKET_MS = 20  # as from a trunk
FLUSH_PACKETS = 5  # silence after the file, so that its last key can end
FILE_OCTETS_MAX = 1 << 30  # about 9 hours of 16 kHz PCM16; the whole file is held in memory
HIDDEN_DIGIT = "•"
SUBTYPES = ("PCM_16", "ULAW", "ALAW")
SAMPLE_RATES_HZ = (8000, 16000)
HEADERLESS_SUBTYPES = {".ul": "ULAW", ".al": "ALAW"}
MODES = {"capture": masker.MODE_CAPTURE, "guard": masker.MODE_GUARD}


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A file as read: samples int16, shape (n_samples, n_channels)."""

    samples: NDArray[np.int16]
    sample_rate_hz: int
    subtype: str

    @property
    def factor(self) -> int:
        """How many samples there are for one at 8 kHz."""
        return self.sample_rate_hz // SAMPLE_RATE_HZ

    @property
    def packet_samples(self) -> int:
        """Samples of a packet."""
        return self.sample_rate_hz * PACKET_MS // 1000


def detect_file(path: str | Path, reveal: bool = False) -> dict[str, Any]:
    """Return the keys heard in `path`, times in ms from its start; a digit is "•" unless `reveal`.

    `registered_ms` is the stream time at the end of the packet that let the key register. In a stereo file each digit
    carries its "channel", from 0. Raises OperatorError for a file that cannot be read.
    """
    audio = read_audio(path)
    n_channels = audio.samples.shape[1]
    digits: list[dict[str, Any]] = []
    for channel in range(n_channels):
        found = _detect_channel(audio, channel, reveal)
        digits += [digit | {"channel": channel} for digit in found] if n_channels > 1 else found
    digits.sort(key=lambda digit: float(digit["start_ms"]))
    return {"file": str(path), "sample_rate_hz": audio.sample_rate_hz, "digits": digits}


def keys_heard(samples: NDArray[np.int16], sample_rate_hz: int) -> int:
    """Return how many keys the live detector hears in one channel of `samples`, shape (n,), at 8 or 16 kHz."""
    return len(_detect_channel(AudioFile(samples[:, np.newaxis], sample_rate_hz, "PCM_16"), 0, reveal=False))


def key_spans(samples: NDArray[np.int16]) -> list[tuple[int, int]]:
    """Return where the live detector hears keys in `samples`, shape (n,), 8 kHz: first and last sample, no names."""
    digits = _detect_channel(AudioFile(samples[:, np.newaxis], SAMPLE_RATE_HZ, "PCM_16"), 0, reveal=False)
    per_ms = SAMPLE_RATE_HZ / 1000
    return [(round(one["start_ms"] * per_ms), round(one["end_ms"] * per_ms)) for one in digits]


def mask_file(
    source: str | Path, destination: str | Path, mode: str = "capture", style: str = "noise"
) -> dict[str, Any]:
    """Write `source`, masked as a caller leg in `mode` ("capture" or "guard") would be, to `destination`.

    The result is as long as the source plus the hold-back. `masked_ms` lists where the *result* holds the filler
    (`style`: one of masker.STYLES) in place of audio, in any channel. Raises OperatorError for files that cannot be
    read or written and for an unknown mode or style.
    """
    for kind, chosen, known in (("mode", mode, MODES), ("style", style, masker.STYLES)):
        if chosen not in known:
            raise OperatorError(f"Unknown {kind} {chosen!r}: choose one of {', '.join(known)}.")
    audio = read_audio(source)
    _check_destination(destination, audio)
    columns, segments, n_keys = [], [], 0
    for channel in range(audio.samples.shape[1]):
        masked, found, keys = _mask_channel(audio, channel, MODES[mode], style)
        columns.append(masked)
        segments += found
        n_keys += keys
    write_audio(destination, AudioFile(np.stack(columns, axis=1), audio.sample_rate_hz, audio.subtype))
    return {
        "added_delay_ms": _ms(masker.HOLD_BACK_SAMPLES),
        "masked_ms": [[_ms(begin, audio.factor), _ms(end, audio.factor)] for begin, end in _joined(segments)],
        "digits_registered": n_keys,
    }


def read_audio(path: str | Path) -> AudioFile:
    """Read `path`. Raises OperatorError that says what is wrong with it and what is allowed."""
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > FILE_OCTETS_MAX:
            raise OperatorError(f"{path} has {size} octets, more than {FILE_OCTETS_MAX}: cut it into parts.")
        if path.suffix.lower() in HEADERLESS_SUBTYPES:
            return _read_headerless(path)
        with soundfile.SoundFile(path) as file:
            _check_format(path, file)
            samples = file.read(dtype="int16", always_2d=True)
            return AudioFile(samples, file.samplerate, file.subtype)
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be read: {error.strerror}. Name a readable audio file."
        ) from error
    except soundfile.LibsndfileError as error:
        raise OperatorError(
            f"{path} is not audio this command reads: name a WAV file (PCM16, µ-law or A-law), or .ul or .al."
        ) from error


def write_audio(path: str | Path, audio: AudioFile) -> None:
    """Write `audio` to `path`: headerless for `.ul` and `.al`, else WAV. Raises OperatorError."""
    path = Path(path)
    try:
        if path.suffix.lower() in HEADERLESS_SUBTYPES:
            path.write_bytes(
                _encoded(audio.samples[:, 0], HEADERLESS_SUBTYPES[path.suffix.lower()]).tobytes()
            )
        else:
            soundfile.write(path, audio.samples, audio.sample_rate_hz, subtype=audio.subtype, format="WAV")
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}. Name a writable place.") from error
    except soundfile.LibsndfileError as error:
        raise OperatorError(
            f"{path} cannot be written. Name a file in an existing, writable folder."
        ) from error


def _check_format(path: Path, file: soundfile.SoundFile) -> None:
    """Raise OperatorError unless the file's header names a format that is read."""
    if file.subtype not in SUBTYPES:
        raise OperatorError(f"{path} is coded as {file.subtype}: convert it to one of {', '.join(SUBTYPES)}.")
    if file.samplerate not in SAMPLE_RATES_HZ:
        raise OperatorError(f"{path} is sampled at {file.samplerate} Hz: resample it to 8000 or 16000 Hz.")
    if file.channels not in (1, 2):
        raise OperatorError(f"{path} has {file.channels} channels: make it mono or stereo.")


def _check_destination(path: str | Path, audio: AudioFile) -> None:
    """Raise OperatorError where a headerless result cannot say what it is."""
    mono_8_khz = audio.samples.shape[1] == 1 and audio.sample_rate_hz == SAMPLE_RATE_HZ
    if Path(path).suffix.lower() in HEADERLESS_SUBTYPES and not mono_8_khz:
        raise OperatorError(f"{path} would be headerless, which is for 8 kHz mono only: name a .wav file.")


def _read_headerless(path: Path) -> AudioFile:
    """Read 8 kHz mono µ-law or A-law codes."""
    codes = np.fromfile(path, dtype=np.uint8)
    pcm = np.zeros(len(codes), np.int16)
    subtype = HEADERLESS_SUBTYPES[path.suffix.lower()]
    (g711.decode_ulaw if subtype == "ULAW" else g711.decode_alaw)(codes, pcm)
    return AudioFile(pcm[:, np.newaxis], SAMPLE_RATE_HZ, subtype)


def _encoded(pcm: NDArray[np.int16], subtype: str) -> NDArray[np.uint8]:
    """Return the G.711 codes of `pcm`, shape (n,)."""
    codes = np.zeros(len(pcm), np.uint8)
    (g711.encode_ulaw if subtype == "ULAW" else g711.encode_alaw)(np.ascontiguousarray(pcm), codes)
    return codes


def _padded(audio: AudioFile, channel: int, extra_samples: int) -> NDArray[np.int16]:
    """Return a channel with at least `extra_samples` of silence behind it, a whole number of packets."""
    size = len(audio.samples) + extra_samples
    padded = np.zeros(size + -size % audio.packet_samples, np.int16)
    padded[: len(audio.samples)] = audio.samples[:, channel]
    return padded


def _detect_channel(audio: AudioFile, channel: int, reveal: bool) -> list[dict[str, Any]]:
    """Run one leg's detector over a channel; return its digits in the order of registration."""
    size = audio.packet_samples
    padded = _padded(audio, channel, FLUSH_PACKETS * size)
    detect = detector.detect_packet if audio.factor == 1 else detector.detect_wideband_packet
    state = np.zeros(1, detector.SHIELD_STATE_DTYPE)
    keys = np.zeros(16, np.uint8)
    digits: list[dict[str, Any]] = []
    n_ended = 0
    for start in range(0, len(padded), size):
        n_keys = detect(state, 0, padded[start : start + size], keys)
        if detector.keys_ended(state, 0) > n_ended:
            # A key that ends in the packet in which the next one registers ended before it.
            digits[n_ended]["end_ms"] = _ms(detector.key_end_samples(state, 0))
            n_ended = detector.keys_ended(state, 0)
        end = (start + size) // audio.factor
        digits += [_digit(state, i, chr(keys[i]) if reveal else HIDDEN_DIGIT, end) for i in range(n_keys)]
        keys[:n_keys] = 0
    return digits


def _digit(state: detector.ShieldState, index: int, shown: str, packet_end: int) -> dict[str, Any]:
    """Return one digit of the report; its end is not known yet and stands at the packet's end."""
    return {
        "digit": shown,
        "start_ms": _ms(masker.key_onset_samples(state, 0, index)),
        "end_ms": _ms(packet_end),
        "registered_ms": _ms(packet_end),
        "level_dbm0": round(detector.key_level_dbm0(state, 0), 1),
        "twist_db": round(detector.key_twist_db(state, 0), 1),
    }


def _mask_channel(
    audio: AudioFile, channel: int, mode: int, style: str
) -> tuple[NDArray[np.int16], list[tuple[int, int]], int]:
    """Run one leg's masker; return its audio and what was replaced, both at the file's rate, and the number of keys."""
    size, held = audio.packet_samples, audio.factor * masker.HOLD_BACK_SAMPLES
    padded = _padded(audio, channel, held)
    shield = masker.shield_packet if audio.factor == 1 else masker.shield_wideband_packet
    out = np.zeros_like(padded)
    state = np.zeros(1, masker.SHIELD_STATE_DTYPE)
    masker.set_style(state, style)
    keys = np.zeros(16, np.uint8)
    segments, n_keys = [], 0
    for start in range(0, len(padded), size):
        packet = slice(start, start + size)
        n_keys += shield(state, 0, padded[packet], out[packet], mode, keys)
        segments += [(start + begin, start + end) for begin, end in masker.masked_segments(state, 0)]
    keys[:] = 0
    n_out = len(audio.samples) + held
    # The first hold-back of the result was never audio: the masker fills it, but it replaces nothing.
    segments = [(max(begin, held), min(end, n_out)) for begin, end in segments]
    return out[:n_out], [(begin, end) for begin, end in segments if end > begin], n_keys


def _joined(segments: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of `segments`, in order."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(segments):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _ms(samples: int, factor: int = 1) -> float:
    """Return `samples` at factor * 8 kHz in milliseconds."""
    return 1000.0 * samples / (factor * SAMPLE_RATE_HZ)

"""The live detector and masker over audio files, in 20 ms packets: what `detect` and `mask` of the command line do.

Reads WAV (PCM16, µ-law, A-law) and headerless `.ul`/`.al` (8 kHz mono), mono or stereo, 8 or 16 kHz. At 16 kHz the
judging is done on a copy at 8 kHz, and its verdicts are applied at the file's own rate.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.media import detector, masker
from dtmf_shield.media.codecs import g711
from dtmf_shield.media.dsp.tables import SAMPLE_RATE_HZ

PACKET_SAMPLES = 160  # 20 ms at 8 kHz, as from a trunk
FLUSH_PACKETS = 5  # silence after the file, so that its last key can end
FILE_OCTETS_MAX = 1 << 30  # about 9 hours of 16 kHz PCM16; the whole file is held in memory
HIDDEN_DIGIT = "•"
SUBTYPES = ("PCM_16", "ULAW", "ALAW")
SAMPLE_RATES_HZ = (8000, 16000)
HEADERLESS_SUBTYPES = {".ul": "ULAW", ".al": "ALAW"}
MODES = {"capture": masker.MODE_CAPTURE, "guard": masker.MODE_GUARD}
_NOISE_SEED = 1


@dataclass(frozen=True, slots=True)
class AudioFile:
    """A file as read: samples int16, shape (n_samples, n_channels)."""

    samples: NDArray[np.int16]
    sample_rate_hz: int
    subtype: str


def detect_file(path: str | Path, reveal: bool = False) -> dict[str, Any]:
    """Return the keys heard in `path`, times in ms from its start; a digit is "•" unless `reveal`.

    `registered_ms` is the stream time at the end of the packet that let the key register. In a stereo file each digit
    carries its "channel", from 0. Raises OperatorError for a file that cannot be read.
    """
    audio = read_audio(path)
    n_channels = audio.samples.shape[1]
    digits: list[dict[str, Any]] = []
    for channel in range(n_channels):
        found = _detect_channel(_at_8_khz(audio, channel), reveal)
        digits += [digit | {"channel": channel} for digit in found] if n_channels > 1 else found
    digits.sort(key=lambda digit: float(digit["start_ms"]))
    return {"file": str(path), "sample_rate_hz": audio.sample_rate_hz, "digits": digits}


def mask_file(source: str | Path, destination: str | Path, mode: str = "capture") -> dict[str, Any]:
    """Write `source`, masked as a caller leg in `mode` ("capture" or "guard") would be, to `destination`.

    The result is as long as the source plus the hold-back. `masked_ms` lists where the *result* holds noise in place
    of audio, in any channel. Raises OperatorError for files that cannot be read or written and for an unknown mode.
    """
    if mode not in MODES:
        raise OperatorError(f"Unknown mode {mode!r}: choose one of {', '.join(MODES)}.")
    audio = read_audio(source)
    _check_destination(destination, audio)
    columns, segments, n_keys = [], [], 0
    for channel in range(audio.samples.shape[1]):
        masked, found, keys = _mask_channel(audio, channel, MODES[mode])
        columns.append(masked)
        segments += found
        n_keys += keys
    write_audio(destination, AudioFile(np.stack(columns, axis=1), audio.sample_rate_hz, audio.subtype))
    return {
        "added_delay_ms": _ms(masker.HOLD_BACK_SAMPLES),
        "masked_ms": [[_ms(begin), _ms(end)] for begin, end in _joined(segments)],
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


def _at_8_khz(audio: AudioFile, channel: int) -> NDArray[np.int16]:
    """Return one channel, int16, at 8 kHz."""
    samples = np.ascontiguousarray(audio.samples[:, channel])
    if audio.sample_rate_hz == SAMPLE_RATE_HZ:
        return samples
    halved = resample_poly(samples.astype(np.float64), SAMPLE_RATE_HZ, audio.sample_rate_hz)
    clipped: NDArray[np.int16] = np.clip(np.round(halved), -32768, 32767).astype(np.int16)
    return clipped


def _padded(pcm: NDArray[np.int16], extra_samples: int) -> NDArray[np.int16]:
    """Return `pcm` with at least `extra_samples` of silence behind it, a whole number of packets."""
    n_packets = -(-(len(pcm) + extra_samples) // PACKET_SAMPLES)
    padded = np.zeros(n_packets * PACKET_SAMPLES, np.int16)
    padded[: len(pcm)] = pcm
    return padded


def _detect_channel(pcm: NDArray[np.int16], reveal: bool) -> list[dict[str, Any]]:
    """Run one leg's detector over `pcm`, 8 kHz; return its digits in the order of registration."""
    padded = _padded(pcm, FLUSH_PACKETS * PACKET_SAMPLES)
    state = np.zeros(1, detector.SHIELD_STATE_DTYPE)
    keys = np.zeros(16, np.uint8)
    digits: list[dict[str, Any]] = []
    n_ended = 0
    for start in range(0, len(padded), PACKET_SAMPLES):
        end = start + PACKET_SAMPLES
        n_keys = detector.detect_packet(state, 0, padded[start:end], keys)
        if detector.keys_ended(state, 0) > n_ended:
            # A key that ends in the packet in which the next one registers ended before it.
            digits[n_ended]["end_ms"] = _ms(detector.key_end_samples(state, 0))
            n_ended = detector.keys_ended(state, 0)
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
    audio: AudioFile, channel: int, mode: int
) -> tuple[NDArray[np.int16], list[tuple[int, int]], int]:
    """Run one leg's masker; return its audio at the file's rate, what was replaced at 8 kHz, and the number of keys."""
    pcm = _at_8_khz(audio, channel)
    padded = _padded(pcm, masker.HOLD_BACK_SAMPLES)
    out = np.zeros_like(padded)
    state = np.zeros(1, masker.SHIELD_STATE_DTYPE)
    keys = np.zeros(16, np.uint8)
    segments, n_keys = [], 0
    for start in range(0, len(padded), PACKET_SAMPLES):
        packet = slice(start, start + PACKET_SAMPLES)
        n_keys += masker.shield_packet(state, 0, padded[packet], out[packet], mode, keys)
        segments += [(start + begin, start + end) for begin, end in masker.masked_segments(state, 0)]
    keys[:] = 0
    n_out = len(pcm) + masker.HOLD_BACK_SAMPLES
    # The first hold-back of the result was never audio: the masker fills it, but it replaces nothing.
    segments = [(max(begin, masker.HOLD_BACK_SAMPLES), min(end, n_out)) for begin, end in segments]
    segments = [(begin, end) for begin, end in segments if end > begin]
    if audio.sample_rate_hz == SAMPLE_RATE_HZ:
        return out[:n_out], segments, n_keys
    return _applied(audio, channel, segments), segments, n_keys


def _applied(audio: AudioFile, channel: int, segments: list[tuple[int, int]]) -> NDArray[np.int16]:
    """Delay one channel by the hold-back at its own rate and replace `segments`, given at 8 kHz, by comfort noise."""
    factor = audio.sample_rate_hz // SAMPLE_RATE_HZ
    held = masker.HOLD_BACK_SAMPLES * factor
    delayed = np.concatenate([np.zeros(held, np.int16), audio.samples[:, channel]])
    noise = np.random.default_rng(_NOISE_SEED)
    for begin, end in segments:
        stretch = delayed[begin * factor : end * factor]
        stretch[:] = noise.integers(-masker.NOISE_PEAK, masker.NOISE_PEAK, len(stretch), endpoint=True)
    return delayed


def _joined(segments: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the union of `segments`, in order."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(segments):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _ms(samples: int) -> float:
    """Return `samples` at 8 kHz in milliseconds."""
    return 1000.0 * samples / SAMPLE_RATE_HZ

"""Speech made on the spot by espeak-ng, for benches that need a voice around or under keys, and audio at half rate."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly


def synthetic_speech() -> np.ndarray:
    """Return about 40 s of espeak-ng speech at 8 kHz, float."""
    text = (
        "Thank you for calling. I would like to pay the bill for my mother's house, and after that I have a question "
        "about the contract. My name is Christopher Nightingale, and the street is called Eastern Avenue. Could you "
        "please tell me how long it takes until the money arrives? Oh, really? Well, that is much faster than I "
        "thought. Yes, I have my card here, one moment please, I need to find my glasses. Mm-hm, yeah, okay. "
    )
    pieces = []
    with TemporaryDirectory() as folder:
        for voice in ("en-gb", "en-us+f3", "es", "de+f2"):
            path = Path(folder) / "speech.wav"
            subprocess.run(["espeak-ng", "-v", voice, "-w", str(path), text], check=True)
            samples, rate = soundfile.read(path, dtype="float64")
            pieces.append(resample_poly(samples, 8000, rate))
    speech = np.concatenate(pieces)
    active = np.abs(speech) > 0.01
    return np.asarray(speech * (32767 * 10 ** (-26 / 20) / np.sqrt(np.mean(speech[active] ** 2))))


def halved(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return audio of 16 kHz at 8 kHz."""
    half = resample_poly(pcm.astype(np.float64), 1, 2)
    return np.clip(np.round(half), -32768, 32767).astype(np.int16)

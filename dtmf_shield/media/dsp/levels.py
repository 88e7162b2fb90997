"""Digital levels: what 0 dBm0 is in 16-bit samples, and the powers that follow from it.

ITU-T G.711 puts a full-scale sine at +3.14 dBm0 (A-law); the service uses that figure for µ-law too (0.03 dB apart).
"""

FULL_SCALE_PEAK = 32767.0
FULL_SCALE_SINE_DBM0 = 3.14  # ITU-T G.711, A-law overload point
ZERO_DBM0_PEAK = FULL_SCALE_PEAK * 10.0 ** (-FULL_SCALE_SINE_DBM0 / 20.0)


def mean_square(level_dbm0: float) -> float:
    """Return the mean square, in squared 16-bit units, of a signal at `level_dbm0`."""
    return float(0.5 * ZERO_DBM0_PEAK**2 * 10.0 ** (level_dbm0 / 10.0))

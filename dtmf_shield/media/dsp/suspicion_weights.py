"""Weights of the suspicion score, written by bench/train_suspicion.py; do not edit by hand."""

import numpy as np
from numpy.typing import NDArray

CAPTURE_SCORE_MIN = 0.591
GUARD_SCORE_MIN = 3.429
WEIGHTS: NDArray[np.float64] = np.array(
    [
        73.3683,
        -4.03737,
        6.2634,
        -1.91581,
        -169.244,
        2.79048,
        -46.4705,
        -241.319,
        -0.254808,
        7.12459,
        -3.75255,
        -12.2878,
        2.46102,
        3.55088,
        -0.0611422,
        -4.20958,
        -9.80021,
        -18.0147,
        13.2754,
        -4.5646,
        -28.4412,
        -0.586349,
        -14.0534,
        23.0729,
        2.47294,
        -31.2852,
        2.86986,
        60.3662,
        171.048,
        260.443,
        -30.3381,
        5.08528,
        -6.71465,
        -65.731,
        -28.4754,
        67.2351,
    ]
)

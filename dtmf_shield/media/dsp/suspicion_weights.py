"""Weights of the suspicion score, written by bench/train_suspicion.py; do not edit by hand."""

import numpy as np
from numpy.typing import NDArray

CAPTURE_SCORE_MIN = -0.035
GUARD_SCORE_MIN = 3.429
WEIGHTS: NDArray[np.float64] = np.array(
    [
        73.3683,
        -4.03736,
        6.26342,
        -1.91581,
        -169.244,
        2.79047,
        -46.4705,
        -241.319,
        -0.254807,
        7.1246,
        -3.75255,
        -12.2878,
        2.46101,
        3.55089,
        -0.0611408,
        -4.20958,
        -9.80021,
        -18.0147,
        13.2754,
        -4.56458,
        -28.4412,
        -0.586348,
        -14.0534,
        23.0729,
        2.47295,
        -31.2852,
        2.86984,
        60.3662,
        171.049,
        260.443,
        -30.3381,
        5.08527,
        -6.71462,
        -65.731,
        -28.4754,
        67.2351,
    ]
)

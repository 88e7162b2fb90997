"""Weights of the suspicion score, written by bench/train_suspicion.py; do not edit by hand."""

import numpy as np
from numpy.typing import NDArray

CAPTURE_SCORE_MIN = -2.515
GUARD_SCORE_MIN = -0.612
WEIGHTS: NDArray[np.float64] = np.array(
    [
        -21.1683,
        -16.3444,
        -16.4569,
        -21.5082,
        -51.3656,
        -0.308355,
        1.30053,
        -26.2461,
        -0.734183,
        -3.46907,
        -1.93709,
        3.04083,
        8.74867,
        1.63003,
        -2.17454,
        -2.83907,
        -10.1946,
        -5.88974,
        14.1973,
        -12.8732,
        -7.65571,
        -1.95481,
        10.4979,
        14.1069,
        -5.78331,
        -11.5043,
        27.8973,
        70.6943,
        27.2784,
        8.16583,
        -5.9405,
        -44.5129,
        -11.5195,
        -29.6465,
        -5.49531,
        0.837501,
    ]
)

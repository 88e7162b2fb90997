"""A slow, obvious G.722 coder: plain integers, one method a block, by the Recommendation's names; the kernels' twin.

Thresholds and levels are looked up where the kernels compute, and scale factors are kept where the kernels derive them.
"""

from dataclasses import dataclass, field

H = [3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876]
H += H[::-1]
Q6 = [0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714]
Q6 += [786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919]
ILN = [0, 63, 62, *range(31, 3, -1)]
ILP = [0, *range(61, 31, -1)]
QM6 = [
    24808,
    21904,
    19008,
    16704,
    14984,
    13512,
    12280,
    11192,
    10232,
    9360,
    8576,
    7856,
    7192,
    6576,
    6000,
    5456,
]
QM6 += [4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136]
QM4 = {0: 0, 15: 0} | {
    code: level
    for first, sign in ((1, -1), (8, 1))
    for code, level in enumerate(
        (sign * each for each in (20456, 12896, 8968, 6288, 4240, 2584, 1200)), first
    )
}
WL = [-60, -30, 58, 172, 334, 538, 1198, 3042]
RL42 = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0]
ILB = [2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834]
ILB += [2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008]
IHN, IHP = [0, 1, 0], [0, 3, 2]
QM2 = [-7408, -1616, 7408, 1616]
WH = [0, -214, 798]
RH2 = [2, 1, 2, 1]


def sat(value: int) -> int:
    return max(-32768, min(32767, value))


def level_of_six(code: int) -> int:
    if code in ILP[1:]:
        return QM6[29 - (ILP.index(code) - 1)]
    if code in ILN[1:]:
        return -QM6[29 - (ILN.index(code) - 1)]
    return -136


def magnitude_step(difference: int, levels: list[int], det: int) -> int:
    """Return the first interval whose upper decision level is above the difference; the last has none."""
    size = difference if difference >= 0 else -(difference + 1)
    for step in range(1, len(levels)):
        if size < (levels[step] * det) >> 12:
            return step
    return len(levels)


@dataclass
class Band:
    """BLOCK3 and BLOCK4 of one band."""

    det: int
    shift: int
    nb_max: int
    nb: int = 0
    s: int = 0
    sz: int = 0
    a: list[int] = field(default_factory=lambda: [0, 0, 0])
    b: list[int] = field(default_factory=lambda: [0] * 7)
    d: list[int] = field(default_factory=lambda: [0] * 7)
    p: list[int] = field(default_factory=lambda: [0, 0, 0])
    r: list[int] = field(default_factory=lambda: [0, 0, 0])

    def scale(self, step: int) -> None:
        self.nb = max(0, min(self.nb_max, (self.nb * 127 >> 7) + step))
        level, places = ILB[self.nb >> 6 & 31], self.shift - (self.nb >> 11)
        self.det = (level >> places if places >= 0 else level << -places) << 2

    def predict(self, difference: int) -> None:
        self.d[0] = difference
        self.r[0], self.p[0] = sat(self.s + difference), sat(self.sz + difference)
        signs = [each >> 31 for each in self.p]
        pull = sat(self.a[1] * 4)
        pull = min(32767, -pull if signs[0] == signs[1] else pull)
        a2 = (pull >> 7) + (128 if signs[0] == signs[2] else -128) + (self.a[2] * 32512 >> 15)
        a2 = max(-12288, min(12288, a2))
        a1 = sat((192 if signs[0] == signs[1] else -192) + (self.a[1] * 32640 >> 15))
        a1 = max(-(15360 - a2), min(15360 - a2, a1))
        gain = 0 if difference == 0 else 128
        for k in range(1, 7):
            push = gain if self.d[k] >> 31 == difference >> 31 else -gain
            self.b[k] = sat(push + (self.b[k] * 32640 >> 15))
        self.a[1:] = [a1, a2]
        self.d[1:], self.r[1:], self.p[1:] = self.d[:6], self.r[:2], self.p[:2]
        self.sz = sat(sum(self.b[k] * sat(2 * self.d[k]) >> 15 for k in range(1, 7)))
        poles = sat(sum(self.a[k] * sat(2 * self.r[k]) >> 15 for k in (1, 2)))
        self.s = sat(poles + self.sz)


class TwinCoder:
    """Either direction; one object for one of them."""

    def __init__(self) -> None:
        self.low = Band(det=32, shift=8, nb_max=18432)
        self.high = Band(det=8, shift=10, nb_max=22528)
        self.line = [0] * 24

    def _filter(self, first: int, second: int) -> tuple[int, int]:
        self.line = [*self.line[2:], first, second]
        products = [h * x for h, x in zip(H, self.line, strict=True)]
        return sum(products[0::2]), sum(products[1::2])

    def encode(self, first: int, second: int) -> int:
        even, odd = self._filter(first, second)
        difference = sat((odd + even >> 14) - self.low.s)
        step = magnitude_step(difference, Q6, self.low.det)
        low = ILN[step] if difference < 0 else ILP[step]
        self._move_low(low)
        difference = sat((odd - even >> 14) - self.high.s)
        step = magnitude_step(difference, [0, 564], self.high.det)
        high = IHN[step] if difference < 0 else IHP[step]
        self._move_high(high)
        return high << 6 | low

    def decode(self, code: int) -> tuple[int, int]:
        low, high = code & 63, code >> 6
        heard = [
            self.low.s + (self.low.det * level_of_six(low) >> 15),
            self.high.s + (self.high.det * QM2[high] >> 15),
        ]
        rl, rh = (max(-16384, min(16383, each)) for each in heard)
        self._move_low(low)
        self._move_high(high)
        even, odd = self._filter(rl + rh, rl - rh)
        return sat(odd >> 11), sat(even >> 11)

    def _move_low(self, code: int) -> None:
        difference = self.low.det * QM4[code >> 2] >> 15
        self.low.scale(WL[RL42[code >> 2]])
        self.low.predict(difference)

    def _move_high(self, code: int) -> None:
        difference = self.high.det * QM2[code] >> 15
        self.high.scale(WH[RH2[code]])
        self.high.predict(difference)

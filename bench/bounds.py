"""Confidence bounds of counts: no share or rate is printed without one."""

from scipy.stats import beta, chi2

CONFIDENCE = 0.95
ONE_SIDED = 0.90  # either bound of a two-sided 90 % interval is a one-sided 95 % bound


def share_bounds(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the two-sided Clopper-Pearson bounds of hits / n (exact, so never too narrow)."""
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def rate_bounds(events: int, hours: float) -> tuple[float, float]:
    """Return the two-sided exact Poisson bounds of events an hour."""
    tail = (1 - CONFIDENCE) / 2
    low = float(chi2.ppf(tail, 2 * events)) / 2 if events else 0.0
    return low / hours, float(chi2.ppf(1 - tail, 2 * events + 2)) / 2 / hours

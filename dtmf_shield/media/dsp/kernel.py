"""The one way a function of this service becomes machine code: a typed name for numba's compiler with our settings.

Kernels hold no GIL, are cached on disk, divide by zero as IEEE 754 says and never raise. numba does not see a change
in a *called* kernel of another file: `dtmf_shield.media` keeps the kernels of each state of the sources apart.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

KernelFunction = TypeVar("KernelFunction", bound=Callable[..., Any])

# Sums may be re-ordered so that they run in vector registers; NaN and infinity keep their meaning.
REORDERED_SUMS = {"reassoc", "contract", "arcp", "nsz"}


def kernel(function: KernelFunction) -> KernelFunction:
    """Compile `function` at its first call: no GIL, cached, exact order of arithmetic."""
    return cast(KernelFunction, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def vector_kernel(function: KernelFunction) -> KernelFunction:
    """Compile as `kernel` does, but let the compiler re-order sums of floats (`REORDERED_SUMS`)."""
    compiler = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=REORDERED_SUMS)
    return cast(KernelFunction, compiler(function))

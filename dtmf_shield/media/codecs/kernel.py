"""How a function of this package becomes machine code; packages beside dsp cannot borrow its alias."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

KernelFunction = TypeVar("KernelFunction", bound=Callable[..., Any])


def kernel(function: KernelFunction) -> KernelFunction:
    """Compile `function` at its first call: no GIL, cached on disk."""
    return cast(KernelFunction, numba.njit(cache=True, nogil=True, error_model="numpy")(function))

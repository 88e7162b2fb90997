"""How a function of this package becomes machine code, and the memory fence between threads.

`rtp` stands beside `dsp` and is used by the test phone as well, so it cannot borrow the name from there.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba import types
from numba.extending import intrinsic

KernelFunction = TypeVar("KernelFunction", bound=Callable[..., Any])


def kernel(function: KernelFunction) -> KernelFunction:
    """Compile `function` at its first call: no GIL, cached on disk."""
    return cast(KernelFunction, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _fence(typing_context: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


fence = cast(Callable[[], None], intrinsic(_fence))
"""Order memory, in kernels only: what is stored before it is seen by other threads and processes before what is
stored after it."""

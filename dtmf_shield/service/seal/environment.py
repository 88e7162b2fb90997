"""The environment of a process that holds card data: what must not be there, and what must be.

Nothing is changed here: the supervisor sets it before exec, because the allocator reads it once, at start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.seal.step import Step

FORBIDDEN_VARIABLES: Final = ("SSLKEYLOGFILE", "http_proxy", "https_proxy", "all_proxy")
"""Each would let card data leave by another way: session keys into a file, requests over a proxy."""

SCRIBBLE_ON_FREE: Final = {
    # Both are needed: frees into the thread cache are not overwritten.
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0",
}


def leaks_of_environment(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that could lead card data elsewhere."""
    return [
        f"the environment sets {variable}: card data could leave by it; unset it"
        for variable in FORBIDDEN_VARIABLES
        if environment.get(variable) or environment.get(variable.upper())
    ]


def refuse_leaking_environment(environment: Mapping[str, str]) -> None:
    """Raise OperatorError where the environment could lead card data elsewhere."""
    leaks = leaks_of_environment(environment)
    if leaks:
        raise OperatorError("; ".join(leaks))


def scribble_on_free(environment: Mapping[str, str]) -> Step:
    """Tell whether this process was started so that freed memory is overwritten."""
    perturbed = "glibc.malloc.perturb=" in environment.get("GLIBC_TUNABLES", "")
    uncached = "glibc.malloc.tcache_count=0" in environment.get("GLIBC_TUNABLES", "")
    if environment.get("PYTHONMALLOC") != "malloc" or not (perturbed and uncached):
        return Step("scribble_on_free", "PYTHONMALLOC and GLIBC_TUNABLES are not set for it")
    return Step("scribble_on_free")

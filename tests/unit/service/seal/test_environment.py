"""The environment of a process that holds card data: what is refused, and what is named as missing."""

from __future__ import annotations

import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service.seal.environment import (
    FORBIDDEN_VARIABLES,
    SCRIBBLE_ON_FREE,
    refuse_leaking_environment,
    scribble_on_free,
)


@pytest.mark.parametrize("variable", FORBIDDEN_VARIABLES)
def test_environment_that_leads_card_data_elsewhere_is_refused(variable: str) -> None:
    for name in (variable, variable.upper()):
        with pytest.raises(OperatorError, match=variable):
            refuse_leaking_environment({name: "x"})


def test_clean_environment_is_taken() -> None:
    refuse_leaking_environment({"PATH": "/usr/bin", "http_proxy": ""})


def test_both_variables_and_both_tunables_are_needed() -> None:
    assert scribble_on_free(SCRIBBLE_ON_FREE).missing == ""

    for variable in SCRIBBLE_ON_FREE:
        assert scribble_on_free({**SCRIBBLE_ON_FREE, variable: ""}).missing
    half = {**SCRIBBLE_ON_FREE, "GLIBC_TUNABLES": "glibc.malloc.perturb=165"}
    assert "GLIBC_TUNABLES" in scribble_on_free(half).missing

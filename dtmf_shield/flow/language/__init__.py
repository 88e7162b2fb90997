"""The flow language ``flow: v1``: pydantic models, the one source for loader, checks, editor schema and reference.

Unknown keys are refused. Outcomes are a closed set per step kind; ``unknown`` is never ``declined``. The models hold
what one place of a file can tell by itself; what needs two places is in ``flow.check``.
"""

from dtmf_shield.flow.language.flow import Flow

__all__ = ["Flow"]

"""The static checks of a flow: what needs more than one place of the file to be seen.

Each check is a function from a Flow to findings; what it proves is in its docstring. ``RULES`` names them all.
"""

from dtmf_shield.flow.check.check import RULES, check_flow

__all__ = ["RULES", "check_flow"]

"""A flow run without a call: the real interpreter and the real capture machine on virtual time, with a transcript.

Test cards only: what is typed here ends in the history of a shell.
"""

from dtmf_shield.service.flows.simulation.script import Script, parse_script
from dtmf_shield.service.flows.simulation.simulation import Simulation, simulate

__all__ = ["Script", "Simulation", "parse_script", "simulate"]

"""How much stricter than the server a flow wants the audio of its call to be treated, for each of the two legs.

It holds with the mask of a capture: from where the flow masks to the end of the tail after it.
"""

from __future__ import annotations

from typing import Final

from dtmf_shield.call.call import Call
from dtmf_shield.flow.language import Flow
from dtmf_shield.model.stream import AS_THE_SERVER_SAYS, MaskStyle, ShieldMode, Strictness

_STYLES: Final = {
    "silence": MaskStyle.SILENCE,
    "flat_tone": MaskStyle.TONE,
    "comfort_noise": MaskStyle.NOISE,
}


def strictness_of(flow: Flow) -> tuple[Strictness, Strictness]:
    """Return what the flow's ``masking`` says of caller and agent."""
    masking = flow.masking
    unrecorded = masking.recording == "pause"
    style = _STYLES[masking.agent_hears] if masking.agent_hears is not None else None
    return (
        Strictness(style=style, withheld=not masking.agent_hears_caller, unrecorded=unrecorded),
        Strictness(withheld=not masking.caller_hears_agent, unrecorded=unrecorded),
    )


def strictness_under(call: Call, mode: ShieldMode) -> tuple[Strictness, Strictness]:
    """Return what is to hold for a call whose legs get ``mode``. One whose flow is not known keeps what it has."""
    if mode is not ShieldMode.CAPTURE:
        return (AS_THE_SERVER_SAYS, AS_THE_SERVER_SAYS)
    return strictness_of(call.engagement.flow) if call.engagement is not None else call.strictness

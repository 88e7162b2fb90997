"""What a flow says, as names of recorded pieces for media; what cannot be said is not sent."""

from types import SimpleNamespace

import pytest

from dtmf_shield.model.ids import CallId, LegRole
from dtmf_shield.model.messages import LoadPrompts, PlayPrompt, StopPrompt
from dtmf_shield.model.prompt import Formatter, Recording, Text, Value
from dtmf_shield.prompts.names import literal_name
from dtmf_shield.service.control.media_port import MediaRows

CALL = CallId("call")


class Line:
    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)
        return True


def rows(line=None):
    port = MediaRows(SimpleNamespace(now_s=lambda: 0.0), "192.0.2.9", None)
    port.connect(line)
    return port


def play(port, *pieces, language="en-GB"):
    return port.play(CALL, 3, LegRole.CALLER, 7, pieces, language, loop=True, barge_in=False)


def test_pieces_are_named_by_the_language_they_are_spoken_in():
    line = Line()

    assert play(
        rows(line),
        Text("You pay"),
        Value("12.50", Formatter.MONEY, "GBP"),
        Recording("hi.wav", language="de-DE"),
    )

    [sent] = line.sent
    assert isinstance(sent, PlayPrompt)
    assert (sent.row, sent.play_id, sent.loop, sent.barge_in) == (3, 7, True, False)
    assert sent.pieces[:3] == (f"en-GB/{literal_name('You pay')}", "en-GB/n-12", "en-GB/gbp-many")
    assert sent.pieces[-1] == "de-DE/r-hi"


@pytest.mark.parametrize("value", ["no amount", "1.234567"])
def test_a_value_that_has_no_words_is_not_played(value):
    line = Line()

    assert not play(rows(line), Value(value, Formatter.MONEY, "GBP"))

    assert line.sent == []


def test_a_language_without_grammar_says_texts_and_no_values():
    line = Line()
    port = rows(line)

    assert play(port, Text("Hei"), language="fi-FI")
    assert not play(port, Value("12.50", Formatter.MONEY, "EUR"), language="fi-FI")

    assert len(line.sent) == 1


def test_while_media_is_away_nothing_is_played():
    assert not play(rows(), Text("You pay"))


def test_loading_and_stopping_are_passed_on():
    line = Line()
    port = rows(line)

    port.load_prompts("state/prompts")
    port.stop_prompt(CALL, 3, LegRole.AGENT, 7)

    assert line.sent == [LoadPrompts("state/prompts"), StopPrompt(CALL, 3, LegRole.AGENT, 7)]

"""The subset of SSML 1.1 that prompts speak, and the sentence for everything else."""

import pytest

from dtmf_shield.prompts.errors import PromptError
from dtmf_shield.prompts.script import TEXT_CHARACTERS_MAX, Segment, segments_of


def test_plain_text_is_one_segment_with_its_spaces_put_right():
    assert segments_of("Key in\n   your card & press hash.") == (Segment("Key in your card & press hash."),)


def test_a_break_is_silence_between_two_segments():
    assert segments_of('<speak>One.<break time="300ms"/> Two.</speak>') == (
        Segment("One."),
        Segment("", pause_ms=300),
        Segment("Two."),
    )
    assert segments_of('One. <break time="1.5s"/>')[1] == Segment("", pause_ms=1500)


def test_prosody_sets_the_rate_of_what_it_holds_and_of_nothing_else():
    assert segments_of('<prosody rate="slow">Slowly.</prosody> And <prosody rate="120%">quick</prosody>') == (
        Segment("Slowly.", 80),
        Segment("And", 100),
        Segment("quick", 120),
    )


def test_say_as_characters_spells():
    spelled = segments_of('Code <say-as interpret-as="characters">ab1</say-as> please')

    assert [segment.text for segment in spelled] == ["Code", "A, B, 1", "please"]


def test_entities_stand_for_characters():
    assert segments_of("<speak>Marks &amp; Co. &lt; five</speak>") == (Segment("Marks & Co. < five"),)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '<phoneme ph="x">y</phoneme>',
            "<phoneme> .*write the word as it sounds; allowed: speak, break, say-as",
        ),
        ("<emphasis>now</emphasis>", "<emphasis> is not spoken alike"),
        ('<prosody pitch="high">a</prosody>', "<prosody> takes the attribute rate and no other"),
        ('<prosody rate="900%">a</prosody>', 'rate="900%">: write 50% to 200%'),
        ('<break strength="strong"/> a', "<break> takes the attribute time"),
        ('a <break time="6s"/>', "up to 5000ms"),
        ('a <break time="long"/>', "write a time such as 300ms"),
        ('<say-as interpret-as="date">a</say-as>', "interpret-as characters or digits"),
        ("<speak>a", "<speak> is not closed"),
        ("a</speak>", "</speak> closes nothing"),
        ('<speak><prosody rate="slow">a</speak></prosody>', "</speak> closes nothing"),
        ("5 < 6", "is no element"),
        ("<!DOCTYPE x> a", "is no element"),
        ("<SPEAK>a</SPEAK>", "is no element"),
        ("...", "holds no word"),
        ('<break time="300ms"/>', "holds no word"),
        ("word " * 300, f"at most {TEXT_CHARACTERS_MAX}: split the prompt"),
    ],
)
def test_everything_else_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(PromptError, match=sentence):
        segments_of(text)

"""The default set in every language, and what flows want beside it."""

import re

import pytest

from dtmf_shield.model.prompt import (
    Care,
    CarePhrase,
    Formatter,
    Recording,
    Text,
    Value,
    ValueReference,
)
from dtmf_shield.prompts.errors import UnspeakableValueError
from dtmf_shield.prompts.grammar import inventory
from dtmf_shield.prompts.grammar.values import DateValue, DigitsValue, MoneyValue, SpellValue
from dtmf_shield.prompts.names import literal_name, recording_name
from dtmf_shield.prompts.script import segments_of
from dtmf_shield.prompts.spoken import spoken_pieces, value_of
from dtmf_shield.prompts.wanted import (
    DEFAULT_LANGUAGES,
    default_texts,
    flow_pieces,
    literals_of,
    standard_pieces,
    unique,
)

PLACES = re.compile(r"\{([^{}]*)\}")


@pytest.mark.parametrize("language", DEFAULT_LANGUAGES)
def test_the_default_set_is_whole_in_every_language(language):
    assert set(default_texts(language)) == set(default_texts("en-GB"))
    for name, text in default_texts(language).items():
        assert PLACES.findall(text) == PLACES.findall(default_texts("en-GB")[name]) or name in (
            "confirm",
            "receipt",
        )
        assert sorted(PLACES.findall(text)) == sorted(PLACES.findall(default_texts("en-GB")[name]))
        for literal in literals_of(text):
            assert len(segments_of(literal)) == 1


@pytest.mark.parametrize("language", ["de-DE", "fr-FR", "es-ES"])
def test_no_text_of_another_language_was_left_in_english(language):
    same = [name for name, text in default_texts(language).items() if text == default_texts("en-GB")[name]]

    assert same == []


def test_american_listeners_press_pound_and_british_ones_hash():
    assert not [text for text in default_texts("en-US").values() if "hash" in text]
    assert not [text for text in default_texts("en-GB").values() if "pound" in text]
    assert default_texts("en-US")["approved"] == default_texts("en-GB")["approved"]


def test_a_tag_without_texts_takes_those_of_its_primary_language():
    assert default_texts("fr-CA") == default_texts("fr-FR")
    assert default_texts("en-AU") == default_texts("en-GB")
    assert default_texts("it-IT") == {}


@pytest.mark.parametrize("language", DEFAULT_LANGUAGES)
def test_the_standard_pieces_hold_numbers_care_and_the_default_set(language):
    names = [piece.name for piece in standard_pieces(language)]
    care = {phrase.value for phrase in CarePhrase} - {"position", "position_of"}

    assert set(inventory(language)) <= set(names)
    assert {recording_name(each) for each in care} <= set(names)
    assert recording_name("hold.wav") in names


def test_a_language_without_grammar_and_texts_wants_recordings_of_caller_care():
    wanted = standard_pieces("it-IT")

    assert [each.recorded_as for each in wanted] == [
        ("start_again",),
        ("tip_slower",),
        ("tip_one_press",),
        ("tip_longer",),
    ]
    assert {each.text for each in wanted} == {""}


def test_a_literal_is_named_by_its_words_alone():
    assert literal_name("Press 1  to\n pay.") == literal_name("Press 1 to pay.")
    assert literal_name(". Press 1 to pay.") == literal_name("Press 1 to pay.")
    assert literal_name("Press 1 to pay.") != literal_name("Press 2 to pay.")


def test_a_recording_with_its_own_text_is_its_own_piece():
    """Two flows may mean different words by welcome.wav."""
    assert recording_name("welcome.wav") == recording_name("fr/welcome.wav") == "r-welcome"
    assert recording_name("welcome.wav", "Hello.") != recording_name("welcome.wav", "Welcome.")


CONFIRM = (
    Text("You are paying"),
    ValueReference("inputs.amount", Formatter.MONEY),
    Text(". Press 1 to pay."),
)


def test_a_flow_wants_its_literals_and_recordings_and_names_them_for_people():
    prompts = {
        "confirm": {"en-GB": CONFIRM},
        "sorry": {"en-GB": (Text("Sorry."),), "fr-FR": (Text("Désolé."),)},
        "wait": {"en-GB": (Recording("hold.wav"),)},
        "hello": {"en-GB": (Recording("hello.wav", text="Hello."),)},
        "music": {"en-GB": (Recording("music.wav"),)},
    }

    wanted = flow_pieces("pay", prompts, "en-GB")

    assert [(each.recorded_as[0], each.text) for each in wanted] == [
        ("confirm-1", "You are paying"),
        ("confirm-2", "Press 1 to pay."),
        ("sorry", "Sorry."),
        ("hold", default_texts("en-GB")["hold"]),
        ("hello", "Hello."),
        ("music", ""),
    ]
    assert wanted[0].origin == "flow pay, prompt confirm"
    assert [each.text for each in flow_pieces("pay", prompts, "fr-FR")] == ["Désolé."]


def test_one_text_of_two_flows_is_one_piece_with_both_names():
    first = flow_pieces("a", {"sorry": {"en-GB": (Text("Sorry."),)}}, "en-GB")
    second = flow_pieces("b", {"pardon": {"en-GB": (Text("Sorry."),)}}, "en-GB")

    (both,) = unique([*first, *second])

    assert both.recorded_as == ("sorry", literal_name("Sorry."), "pardon")


def test_what_is_played_is_what_was_wanted():
    """The names at call time are those of the build, in the languages of the pieces."""
    said = [
        Text("You are paying"),
        Value("12.50", Formatter.MONEY, "GBP"),
        Recording("hold.wav"),
        Text("Bonjour.", language="fr-FR"),
        Care(CarePhrase.POSITION_OF, 12, 16),
        Care(CarePhrase.POSITION, 1),
        Care(CarePhrase.TIP_SLOWER),
    ]

    played = spoken_pieces(said, "en-GB")

    wanted = {each.name for each in flow_pieces("pay", {"confirm": {"en-GB": CONFIRM}}, "en-GB")}
    wanted |= {each.name for each in standard_pieces("en-GB")}
    assert {piece.name for piece in played if piece.language == "en-GB"} <= wanted
    assert [piece.name for piece in played[1:5]] == ["n-12", "gbp-many", "and", "n-50"]
    assert played[7] == ("fr-FR", literal_name("Bonjour."))
    assert [piece.name for piece in played[8:]] == ["n-12", "of", "n-16", "n-1", "key-one", "r-tip_slower"]


@pytest.mark.parametrize(
    ("value", "formatter", "currency", "expected"),
    [
        ("12.50", Formatter.MONEY, "GBP", MoneyValue(1250, "GBP")),
        ("12.5", Formatter.MONEY, "GBP", MoneyValue(1250, "GBP")),
        ("500", Formatter.MONEY, "JPY", MoneyValue(500, "JPY")),
        ("1.234", Formatter.MONEY, "KWD", MoneyValue(1234, "KWD")),
        ("4242", Formatter.DIGITS, "", DigitsValue("4242")),
        ("AB-1", Formatter.SPELL, "", SpellValue("AB-1")),
        ("2026-11-26", Formatter.DATE, "", DateValue(2026, 11, 26)),
        ("2026-11", Formatter.DATE, "", DateValue(2026, 11)),
    ],
)
def test_a_flows_text_is_read_as_a_value(value, formatter, currency, expected):
    assert value_of(Value(value, formatter, currency)) == expected


@pytest.mark.parametrize(
    ("value", "formatter", "currency"),
    [
        ("-1", Formatter.MONEY, "GBP"),
        ("1.005", Formatter.MONEY, "GBP"),
        ("1.5", Formatter.MONEY, "JPY"),
        ("1,50", Formatter.MONEY, "EUR"),
        ("1" * 20, Formatter.MONEY, "EUR"),
        ("26.11.2026", Formatter.DATE, ""),
        ("2026-02-30", Formatter.DATE, ""),
        ("4242424242424242", Formatter.DIGITS, ""),
    ],
)
def test_a_value_that_cannot_be_spoken_is_refused_without_being_named(value, formatter, currency):
    with pytest.raises(UnspeakableValueError, match="allowed: ") as refusal:
        value_of(Value(value, formatter, currency))
    assert value not in str(refusal.value)

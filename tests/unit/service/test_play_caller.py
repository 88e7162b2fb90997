"""How the caller's keys leave the phone: fingers by the clock, the line's level, every card that the page offers."""

from __future__ import annotations

import asyncio
from datetime import date
from types import SimpleNamespace

import pytest

from dtmf_shield.phone.door import Door
from dtmf_shield.phone.test_cards import TEST_CARDS, passes_check_digit
from dtmf_shield.phone.tones import LEVEL_DBM0
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.play import caller as caller_module
from dtmf_shield.service.play.caller import WEAK_DBM0, CallerKeys, Fingers, Line
from dtmf_shield.service.play.cards import OFFERED, PARTS, offered_cards
from dtmf_shield.service.play.tape import CallTape
from dtmf_shield.service.test_gateway.cards import CARDS


class Clock:
    """Sleeps at once and says how long it would have been."""

    def __init__(self):
        self.now_ms = 0

    async def sleep(self, wait_s):
        self.now_ms += round(wait_s * 1000)
        await asyncio.sleep(0)


class Stream:
    """Writes down when each key left, how long it sounds and how loud."""

    def __init__(self, clock):
        self.pressed = []
        self.on_sent = None
        self._clock = clock

    def press_as_tone(self, key, tone_ms, level_dbm0):
        self.pressed.append((self._clock.now_ms, key, tone_ms, level_dbm0))

    def press_as_event(self, key, tone_ms):
        self.pressed.append((self._clock.now_ms, key, tone_ms, None))


def played(monkeypatch, keys, *, fingers=Fingers.NORMAL, line=Line.CLEAN, door=Door.INBAND, entries=False):
    """Press ``keys`` and return what left the phone. ``entries``: each of them is a field's."""

    async def play():
        clock = Clock()
        fake = SimpleNamespace(sleep=clock.sleep, Queue=asyncio.Queue, wait_for=asyncio.wait_for)
        monkeypatch.setattr(caller_module, "asyncio", fake)
        stream = Stream(clock)
        call = SimpleNamespace(stream=stream, loses=None, talk=lambda speech: None)
        line_out = CallerKeys(
            SimpleNamespace(),
            call,
            voice(Voice.CALLER),
            door=door,
            fingers=fingers,
            line=line,
            tape=CallTape(),
        )
        for entry in keys if entries else [keys]:
            if entries:
                line_out.begin_entry()
            line_out.press(entry)
        pressing = asyncio.get_running_loop().create_task(line_out.run())
        async with asyncio.timeout(5):
            while line_out.waiting or clock.now_ms == 0 or not stream.pressed:
                await asyncio.sleep(0)
            for _ in range(8):
                await asyncio.sleep(0)
        pressing.cancel()
        return stream.pressed, line_out.sent

    return asyncio.run(play())


@pytest.mark.parametrize(
    ("fingers", "tone_ms", "at_ms"),
    [
        (Fingers.NORMAL, 100, [0, 220, 440]),
        (Fingers.SLOW, 280, [0, 1_780, 3_560]),
        (Fingers.DOUBLED, 40, [0, 80, 460, 540, 920, 1_000]),
    ],
)
def test_fingers_press_by_their_own_clock(monkeypatch, fingers, tone_ms, at_ms):
    pressed, sent = played(monkeypatch, "123", fingers=fingers)

    assert [at for at, *_ in pressed] == at_ms
    assert {tone for _, _, tone, _ in pressed} == {tone_ms}
    times = len(at_ms) // 3
    assert "".join(key for _, key, *_ in pressed) == "".join(key * times for key in "123")
    assert sent == len(at_ms)


def test_fingers_are_as_slow_at_doors_that_make_no_sound(monkeypatch):
    pressed, _ = played(monkeypatch, "12", fingers=Fingers.SLOW, door=Door.RFC4733)

    assert [at for at, *_ in pressed] == [0, 1_780]


@pytest.mark.parametrize(
    ("line", "level_dbm0"), [(Line.CLEAN, LEVEL_DBM0), (Line.LOSSY, LEVEL_DBM0), (Line.WEAK, WEAK_DBM0)]
)
def test_only_the_weak_line_takes_from_the_level(monkeypatch, line, level_dbm0):
    pressed, _ = played(monkeypatch, "1", line=line)

    assert [level for *_, level in pressed] == [level_dbm0]


@pytest.mark.parametrize("card", offered_cards(date(2026, 11, 26)), ids=lambda card: card.name)
def test_every_card_is_keyed_whole_field_by_field(monkeypatch, card):
    entries = [card.keys_of(part) for part in PARTS]

    pressed, _ = played(monkeypatch, entries, entries=True)

    assert "".join(key for _, key, *_ in pressed) == f"{card.number}#1227{card.code}"
    assert len(card.code) == (4 if card.brand == "amex" else 3)


def test_cards_do_what_their_names_say_at_the_test_gateway():
    fates = {name: CARDS.get(number) for name, number in OFFERED.items()}

    assert fates.pop("mistyped") is None
    assert OFFERED["mistyped"] not in TEST_CARDS
    assert not passes_check_digit(OFFERED["mistyped"])
    assert {name: (fate.tokenize_code, fate.money_code) for name, fate in fates.items()} == {
        "visa": ("", ""),
        "mastercard": ("", ""),
        "amex": ("", ""),
        "declined": ("card_declined", "card_declined"),
        "no-funds": ("insufficient_funds", "insufficient_funds"),
        "lost-later": ("", "card_declined"),
        "expired": ("expired_card", "expired_card"),
    }

"""What the lines of the play page do to keys: ``python -m bench.play_line [--n 1600]``. Prints a table, keeps nothing.

The phone's own stream presses random keys as ordinary fingers do, G.711 carries them, and the service's detector hears
them at the other end; a lost packet is heard as silence. Seeded.
"""

import argparse
import random

import numpy as np

from bench.bounds import share_bounds
from dtmf_shield.phone.stream import PACKET_SAMPLES, PhoneStream
from dtmf_shield.phone.tones import KEYPAD, LEVEL_DBM0
from dtmf_shield.service.play import caller
from dtmf_shield.service.play.caller import LOST_SHARE, WEAK_DBM0, Fingers, Line
from dtmf_shield.service.play.ear import LiveEar

SILENCE = np.zeros(PACKET_SAMPLES, np.int16)
PACKET_MS = 20
SEED = 1


def heard(line: Line, n: int) -> tuple[int, int, int]:
    """Press n keys over a line; return how many were counted, judged weak, judged noisy."""
    draw = random.Random(f"{SEED} {line}")
    touch = caller._TOUCHES[Fingers.NORMAL]
    sender, receiver, ear = (
        PhoneStream(ssrc=1, sequence=1, timestamp=1),
        PhoneStream(ssrc=2, sequence=1, timestamp=1),
        LiveEar(),
    )
    sender.keeps_audio = receiver.keeps_audio = False
    receiver.on_heard = ear.hear
    if line is Line.NOISY:
        sender.talk(caller._noise())
    level_dbm0 = WEAK_DBM0 if line is Line.WEAK else LEVEL_DBM0
    for _ in range(n):
        sender.press_as_tone(draw.choice(KEYPAD), touch.tone_ms, level_dbm0)
        for _ in range((touch.tone_ms + touch.rest_ms) // PACKET_MS):
            _carry(sender, receiver, ear, lost=line is Line.LOSSY and draw.random() < LOST_SHARE)
    judged = ear._state[0]
    return ear.keys_heard, int(judged["presses_weak"]), int(judged["presses_noisy"])


def _carry(sender: PhoneStream, receiver: PhoneStream, ear: LiveEar, *, lost: bool) -> None:
    packet = sender.next_packet(0.0)
    if lost:
        ear.hear(SILENCE)
    else:
        receiver.receive(packet, 0.0)


def main() -> None:
    """Print one row a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_600, help="keys a line")
    n = parser.parse_args().n
    print("| line | keys | counted | 95 % | judged weak | judged noisy |\n|---|---|---|---|---|---|")
    for line in Line:
        keys, weak, noisy = heard(line, n)
        low, high = share_bounds(min(keys, n), n)
        print(
            f"| {line} | {n} | {keys / n:.2%} | {low:.2%} to {high:.2%} | {weak / n:.2%} | {noisy / n:.2%} |"
        )


if __name__ == "__main__":
    main()

"""The locked region: what it gives away (nothing), what wiping leaves (nothing), that it is locked."""

from __future__ import annotations

import os
import pickle

import pytest

from dtmf_shield.account_data.slots import (
    CARD_NUMBER_AT,
    CARD_NUMBER_BYTES,
    EXPIRY_AT,
    EXPIRY_BYTES,
    FLAGS_AT,
    OTHER_FIELD_BYTES,
    OTHER_FIELDS_AT,
    OTHER_FIELDS_MAX,
    REGION_BYTES,
    RING_AT,
    RING_KEYS,
    SECURITY_CODE_AT,
    SECURITY_CODE_BYTES,
    SLOT_BYTES,
    UNPAIRED_KEYS_AT,
    UNPAIRED_KEYS_MAX,
    WAITING_KEYS_AT,
    WAITING_KEYS_MAX,
    Region,
    create_region,
)


def test_places_of_a_slot_do_not_overlap_and_fit() -> None:
    places = [
        (0, FLAGS_AT + 1),
        (RING_AT, RING_KEYS),
        (CARD_NUMBER_AT, CARD_NUMBER_BYTES),
        (EXPIRY_AT, EXPIRY_BYTES),
        (SECURITY_CODE_AT, SECURITY_CODE_BYTES),
        (WAITING_KEYS_AT, WAITING_KEYS_MAX),
        (UNPAIRED_KEYS_AT, UNPAIRED_KEYS_MAX),
        *(
            (OTHER_FIELDS_AT + index * OTHER_FIELD_BYTES, OTHER_FIELD_BYTES)
            for index in range(OTHER_FIELDS_MAX)
        ),
    ]
    ends = [start + length for start, length in places]
    assert all(end <= start for end, (start, _) in zip(ends, places[1:], strict=False))
    assert ends[-1] == SLOT_BYTES


def test_ordinary_region_is_locked() -> None:
    fd, secret = create_region(4096, allow_secret=False)

    region = Region(fd, 4096)

    assert not secret
    assert not region.secret
    assert region.locked


def test_best_region_of_this_kernel_is_locked() -> None:
    fd, secret = create_region(4096)

    region = Region(fd, 4096)

    assert region.secret is secret
    assert region.locked


def test_two_mappings_of_one_descriptor_share_bytes() -> None:
    fd, _ = create_region()
    writer, reader = Region(fd), Region(os.dup(fd))

    writer.view[700] = 0x23

    assert reader.view[700] == 0x23


def test_wipe_leaves_zeros() -> None:
    fd, _ = create_region()
    region = Region(fd)
    region.view[0:4] = b"4242"
    region.view[10:12] = b"99"

    region.wipe_range(0, 4)
    assert region.view[0:12] == b"\0" * 10 + b"99"

    region.wipe()
    assert region.view == bytes(REGION_BYTES)


def test_wipe_outside_is_refused() -> None:
    fd, _ = create_region(4096)
    region = Region(fd, 4096)

    with pytest.raises(ValueError, match="outside"):
        region.wipe_range(4000, 100)


def test_region_shows_no_content_and_is_never_pickled() -> None:
    fd, _ = create_region(4096)
    region = Region(fd, 4096)
    region.view[0:4] = b"4242"

    assert "4242" not in repr(region)
    with pytest.raises(TypeError):
        pickle.dumps(region)


def test_parts_of_a_slot_do_not_overlap() -> None:
    assert RING_AT + RING_KEYS <= 80
    assert WAITING_KEYS_AT + WAITING_KEYS_MAX <= UNPAIRED_KEYS_AT
    assert UNPAIRED_KEYS_AT + UNPAIRED_KEYS_MAX <= SLOT_BYTES

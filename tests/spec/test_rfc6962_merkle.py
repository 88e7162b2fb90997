"""RFC 6962 section 2.1: Merkle tree hashes and audit paths, on the vectors of the Certificate Transparency project."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtmf_shield.audit.merkle import inclusion_path, leaf_hash, node_hash, root_from_path, root_hash

ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


@pytest.mark.parametrize("size", range(1, 9))
def test_tree_hashes_are_those_of_the_published_vectors(size: int) -> None:
    assert root_hash(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert root_hash([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_node_is_no_leaf() -> None:
    """The two prefixes: two leaves and one entry made of their hashes have different trees."""
    assert root_hash(LEAVES[:2]) != leaf_hash(LEAVES[0] + LEAVES[1])
    assert root_hash(LEAVES[:2]) == node_hash(LEAVES[0], LEAVES[1])


@given(size=st.integers(1, 200), data=st.data())
def test_every_path_leads_to_the_root_and_no_other_place_does(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(number.to_bytes(2, "big")) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    path, root = inclusion_path(index, leaves), root_hash(leaves)

    assert len(path) <= (size - 1).bit_length()
    assert root_from_path(leaves[index], index, size, path) == root
    if other != index:
        assert root_from_path(leaves[other], index, size, path) != root
        assert root_from_path(leaves[index], other, size, path) != root


@given(size=st.integers(2, 100), data=st.data())
def test_a_path_that_is_too_short_or_too_long_proves_nothing(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(number.to_bytes(2, "big")) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    path, root = inclusion_path(index, leaves), root_hash(leaves)

    assert root_from_path(leaves[index], index, size, path[:-1]) != root
    assert root_from_path(leaves[index], index, size, [*path, path[0]]) != root


@pytest.mark.parametrize("index", [-1, 8])
def test_a_leaf_outside_the_tree_has_no_path(index: int) -> None:
    with pytest.raises(IndexError):
        inclusion_path(index, LEAVES)
    assert root_from_path(LEAVES[0], index, 8, []) is None

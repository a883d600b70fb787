"""Remote names: text, short enough, and no two alike."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from app.domain.paths import MAX_NAME_BYTES, cut_name, free_name, remote_name

any_name = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=300)


def test_decomposed_accents_are_composed() -> None:
    assert remote_name(unicodedata.normalize("NFD", "Äpfel é.txt")) == "Äpfel é.txt"


def test_a_byte_that_is_no_text_becomes_a_replacement_character() -> None:
    assert remote_name(b"caf\xe9 \xff.txt".decode("utf-8", "surrogateescape")) == "caf\ufffd \ufffd.txt"


def test_the_suffix_survives_a_cut() -> None:
    assert cut_name("é" * 200 + ".tiff") == "é" * 125 + ".tiff"


def test_a_long_suffix_is_part_of_the_name() -> None:
    assert cut_name("a." + "b" * 300) == "a." + "b" * 253


def test_a_hidden_name_has_no_suffix() -> None:
    assert cut_name(".profile", number=2) == ".profile (2)"


def test_a_folders_dot_is_no_suffix() -> None:
    assert cut_name("v1.0", is_folder=True, number=3) == "v1.0 (3)"


def test_a_free_name_is_taken_afterwards() -> None:
    taken = {"a.txt", "a (2).txt"}
    assert [free_name("a.txt", taken), free_name("a.txt", taken)] == ["a (3).txt", "a (4).txt"]


@given(any_name, st.integers(1, 10_000))
def test_every_cut_name_fits_and_is_text(name: str, number: int) -> None:
    assert 0 < len(cut_name(remote_name(name), number=number).encode()) <= MAX_NAME_BYTES


@given(st.lists(any_name, max_size=20))
def test_free_names_are_all_different(names: list[str]) -> None:
    taken: set[str] = set()
    free = [free_name(cut_name(remote_name(name)), taken) for name in names]
    assert len(set(free)) == len(names)

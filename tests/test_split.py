"""Cutting a text into the parts of a concatenation, against every way to cut it."""

import itertools
import time

from hypothesis import given, settings
from hypothesis import strategies as st

import dgemma_constrain as dc
from dgemma_constrain.constraints.split import split

PARTS = [dc.regex(p) for p in ("a*", "b*", "(?:ab)*", "a?b", "[ab]+", "", "a{2}", "[^b]*", "b|ba|bab")] + [
    dc.literal("a") & "b"
]


@given(st.text("ab", max_size=7), st.lists(st.sampled_from(PARTS), max_size=4))
@settings(max_examples=400)
def test_of_all_cuts_the_one_whose_parts_are_longest_left_first(text, parts):
    cuts = []
    for inner in itertools.combinations_with_replacement(range(len(text) + 1), max(len(parts) - 1, 0)):
        at = [0, *inner, len(text)] if parts else [0]
        pieces = [text[a:b] for a, b in zip(at, at[1:])]
        if "".join(pieces) == text and all(part.matches(piece) for part, piece in zip(parts, pieces)):
            cuts.append(pieces)
    expected = max(cuts, key=lambda pieces: [len(p) for p in pieces], default=None)
    assert split(text, [p.ends(text) for p in parts]) == expected


def test_hopeless_texts_are_given_up_soon():
    greedy = [dc.regex("[ab]*")] * 8 + [dc.literal("c")]
    began = time.process_time()
    for text, pieces in (("ab" * 100, None), ("ab" * 100 + "c", ["ab" * 100, *[""] * 7, "c"])):
        assert split(text, [part.ends(text) for part in greedy]) == pieces
    assert time.process_time() - began < 3


def test_a_text_that_is_no_unicode_cannot_be_cut():
    assert split("a\ud800", [dc.text().ends("a\ud800")] * 2) is None

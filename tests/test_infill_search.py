"""A canvas's strings come best first, and no better one comes late; on small vocabularies against all strings that there are."""

from itertools import islice, product

import numpy as np
import pytest

from dgemma_constrain.infill import search
from dgemma_constrain.infill.search import Bound, String, strings
from dgemma_constrain.tokens.vocabulary import Vocabulary

TOKENS = [None, b"a", b"b", b"(", b")", b"cc", b"c("]  # of which every text is spelled in one way only
END = 0


class Brackets:
    """Texts whose brackets match, never deeper than two."""

    hopes = 0

    def alive(self, texts):
        return [all(0 <= d <= 2 for d in _depths(text)) for text in texts]

    def closings(self, texts):
        return [[b")" * _depths(text)[-1]] for text in texts]


def _depths(text):
    return np.cumsum([0, *((one == ord("(")) - (one == ord(")")) for one in text)]).tolist()


def _vocabulary():
    return Vocabulary(TOKENS, eos_id=END)


def _rows(chance, length):
    return np.log(chance.dirichlet(np.full(len(TOKENS), 0.4), length) + 1e-9).astype(np.float32)


def _all(rows, pinned):
    """Every whole string of a canvas: score, ids, whether it ended."""
    found = {}
    for n in range(1, len(rows) + 1):
        for ids in product(range(1, len(TOKENS)), repeat=n):
            depths = _depths(b"".join(TOKENS[i] for i in ids))
            whole = all(0 <= d <= 2 for d in depths) and depths[-1] == 0
            line = ids if n == len(rows) else (*ids, END)
            if whole and all(k < len(line) and line[k] == i for k, (i, _) in pinned.items()):
                score = sum(pinned[k][1] if k in pinned else float(rows[k, i]) for k, i in enumerate(line))
                found[ids, n < len(rows)] = score / len(line)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_beam_finds_all_strings_best_first(monkeypatch, seed):
    monkeypatch.setattr(search, "WIDTH", 10_000)
    chance = np.random.default_rng(seed)
    rows = _rows(chance, 4)
    pinned = {int(chance.integers(4)): (int(chance.integers(1, len(TOKENS))), -0.5)} if seed % 2 else {}
    found = list(strings(rows, _vocabulary(), pinned, b"", Brackets(), lambda: True))
    wanted = _all(rows, pinned)
    assert {(one.ids, one.ended): pytest.approx(one.score) for one in found} == wanted
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_worth_it_is_found_in_the_same_order(seed):
    chance = np.random.default_rng(100 + seed)
    rows = _rows(chance, 6)
    all_ = list(strings(rows, _vocabulary(), {}, b"", Brackets(), lambda: True))
    least = all_[len(all_) // 4].score
    some = strings(rows, _vocabulary(), {}, b"", Brackets(), lambda: True, worth=lambda: least)
    assert [one for one in some if one.score >= least] == [one for one in all_ if one.score >= least]


def test_the_first_string_comes_before_the_canvas_is_read_to_its_end():
    rows, asked = np.full((16, len(TOKENS)), -9.0, np.float32), []
    rows[0, 1] = rows[1:, END] = -0.01
    first = next(strings(rows, _vocabulary(), {}, b"", Brackets(), lambda: asked.append(1) or True))
    assert (first.text, first.ended) == (b"a", True) and len(asked) < 4


def test_the_lead_is_among_the_strings_scored_anew():
    rows = _rows(np.random.default_rng(7), 5)
    lead = String(-99.0, (3, 1, 1, 4), b"(aa)", True)
    found = list(strings(rows, _vocabulary(), {}, b"", Brackets(), lambda: False, lead))
    ids = (*lead.ids, END)
    assert found == [lead._replace(score=pytest.approx(sum(float(rows[k, i]) for k, i in enumerate(ids)) / 5))]


@pytest.mark.parametrize("seed", range(30))
def test_no_string_scores_more_than_the_bound_of_how_it_begins(seed):
    chance = np.random.default_rng(200 + seed)
    rows = _rows(chance, 4)
    pinned = {2: (int(chance.integers(len(TOKENS))), -0.3)} if seed % 2 else {}
    bound = Bound(rows, (END,), pinned)
    for (ids, ended), score in islice(_all(rows, pinned).items(), 400):
        line = (*ids, END) if ended else ids
        for k in range(len(ids)):
            begun = sum(pinned[j][1] if j in pinned else float(rows[j, i]) for j, i in enumerate(line[:k]))
            assert score <= bound.of(begun, k) + 1e-6
            assert begun >= bound.least(score, k) - 1e-6


def test_the_likeliest_of_a_large_row_are_those_of_a_sort():
    for seed, size in enumerate([5, 100, 8192, 8200, 30_000]):
        row = np.random.default_rng(seed).normal(size=size).astype(np.float32)
        assert sorted(search._likeliest(row, 24)) == sorted(np.argsort(-row)[:24].tolist())

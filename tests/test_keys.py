"""Keys: every state of a region reads a token's key as it reads the token; and classes list their members."""

import random

import numpy as np
import pytest

import dgemma_constrain as dc
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.automata.encodings import utf8
from dgemma_constrain.tokens.classes import members_of
from dgemma_constrain.tokens.keys import ENTERING, NEARING, STAYING
from dgemma_constrain.tokens.region import NEAR, OUTSIDE, STAY, by_columns, find_region

STRING = {"type": "string", "maxLength": 9}
CASES = {
    "strings": dc.json_schema({"properties": {"a": STRING, "bc": {"type": "string"}}, "additionalProperties": STRING}),
    "bounded text": dc.regex(r"[^\n]{0,30}"),
    "words": dc.regex(r"\w{1,12}"),
    "names": dc.json_schema({"properties": {"id": True, "Name": True, "na_me": {"pattern": "^[A-Za-z0-9]*$"}}}),
}


@pytest.fixture(scope="module")
def vocabulary():
    return generated_vocabulary(size=6001, seed=2)


def walk(dfa, state: int, text: bytes) -> int:
    for byte in text:
        state = int(dfa.table[state, dfa.classes[byte]])
        if state < 0:
            break
    return state


@pytest.mark.parametrize("name", CASES)
def test_states_of_a_region_read_a_key_as_they_read_its_tokens(name, vocabulary):
    dfa = utf8(CASES[name].dfa())
    region = find_region(dfa, *by_columns(dfa.table, dfa.classes)[:3], vocabulary, copies=False)
    cut = region.cut
    spelt = [
        [keys.data[keys.offsets[i] : keys.offsets[i + 1]].tobytes() for i in keys.order.tolist()] for keys in cut.keys
    ]
    assert all(sorted(set(strings)) == strings for strings in spelt)
    assert 10 < len(spelt[STAYING]) < len(spelt[ENTERING]) < cut.of_form.shape[1] < len(cut.form)
    rng = random.Random(0)
    ways = {STAY: STAYING, NEAR: NEARING, OUTSIDE: ENTERING}
    compared = dict.fromkeys(ways, 0)
    for position, token in enumerate(vocabulary.order.tolist()):
        text = vocabulary.token_bytes(token)
        assert cut.by_id[token] == cut.form[position]
        for way, sort in ways.items():
            key = spelt[sort][cut.of_form[sort, cut.form[position]]]
            states = np.flatnonzero(region.way == way)
            if way == OUTSIDE:
                after = dfa.table[states, dfa.classes[text[0]]]
                states = states[(after >= 0) & region.enters[after, int(text[0] in b"\xe0\xed\xf0\xf4")]]
            for s in rng.sample(states.tolist(), min(3, len(states))):
                assert walk(dfa, s, key) == walk(dfa, s, text), (s, text, key)
                compared[way] += key != text
    assert compared[STAY] > 1000


def test_classes_list_their_members_in_order():
    chance = np.random.default_rng(0)
    for size in (1, 2, 7, 500, 501):
        classes = chance.integers(-1, 5, size).astype(np.int32)
        offsets, members = members_of(classes, 5)
        for c in range(5):
            assert members[offsets[c] : offsets[c + 1]].tolist() == np.flatnonzero(classes == c).tolist()

"""Lifting: for every state and every token, the token automaton does what reading the token's bytes does."""

import random

import numpy as np
import pytest

import dgemma_constrain as dc
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.automata.encodings import utf8
from dgemma_constrain.tokens.lift import lift
from dgemma_constrain.tokens.region import by_columns, find_region

STRING = {"type": "string", "maxLength": 9}
CASES = {
    "date": dc.regex(r"\d{4}-\d{2}-\d{2}"),
    "record": dc.json_schema(
        {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"type": "integer"},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
            },
        }
    ),
    "bounded strings": dc.json_schema({"type": "object", "properties": {"a": STRING, "bc": STRING}, "required": ["a"]}),
    "lists of strings": dc.json_schema(
        {"properties": {"a": {"items": {"type": "string"}}, "b": {"items": STRING}}, "additionalProperties": STRING},
        whitespace="compact",
        max_depth=0,
    ),
    "any text": dc.text(),
    "bounded text": dc.regex(r"[^\n]{0,30}"),
    "words": dc.regex(r"\w{1,12}"),
    "template": dc.template("Dear {name},\n{body}\nYours", name=dc.regex("[A-Z][a-z]+"), body=dc.text()),
    "negative": ~dc.contains("the"),
    "accents": dc.regex("[à-ÿ ]*é[à-ÿ]{2,5}"),
    "slug": dc.regex("[a-z0-9]+(-[a-z0-9]+)*"),  # most tokens stay in one state,
    "most letters": dc.regex("[a-y ]+[A-Z]*z?[0-8]*"),  # but here not all letters and digits do
    "names": dc.json_schema({"properties": {"id": True, "Name": True, "na_me": {"pattern": "^[A-Za-z0-9]*$"}}}),
    "choice": dc.choice(["alpha", "beta", "алфавит", "字母"]),
}


@pytest.fixture(scope="module")
def vocabulary():
    return generated_vocabulary(size=6000, seed=1)


def walk(dfa, state: int, token: bytes) -> int:
    for byte in token:
        state = int(dfa.table[state, dfa.classes[byte]])
        if state < 0:
            break
    return state


@pytest.mark.parametrize("name", CASES)
def test_every_token_leads_where_its_bytes_lead(name, vocabulary):
    dfa = utf8(CASES[name].dfa())
    automaton = lift(dfa, vocabulary)
    ids = np.flatnonzero(~vocabulary.special).tolist()
    byte_state, todo = (
        {0: 0},
        [0],
    )  # what each token state is in bytes: found by walking, and must not contradict itself
    rng = random.Random(0)
    while todo:
        s = todo.pop()
        row = slice(automaton.offsets[s], automaton.offsets[s + 1])
        leads = dict(zip(automaton.symbols[row].tolist(), automaton.targets[row].tolist()))
        for token in ids if len(byte_state) < 200 else rng.sample(ids, 500):
            expected = walk(dfa, byte_state[s], vocabulary.token_bytes(token))
            found = leads.get(int(automaton.classes[token]), -1)
            assert (found >= 0) == (expected >= 0), (s, vocabulary.token_bytes(token))
            if found >= 0 and found not in byte_state:
                byte_state[found] = expected
                todo.append(found)
            assert found < 0 or byte_state[found] == expected
    assert all(automaton.accept[s] == dfa.accept[q] for s, q in byte_state.items())
    assert len(byte_state) > min(0.5 * automaton.states, 150)


@pytest.mark.parametrize("name", ["record", "lists of strings", "template", "accents"])
def test_tokens_share_a_class_just_if_no_state_tells_them_apart(name, vocabulary):
    dfa = utf8(CASES[name].dfa())
    automaton = lift(dfa, vocabulary)
    table = np.vstack([dfa.table, np.full(dfa.table.shape[1], -1)])  # the last row is where what is dead stays
    columns = {}
    for token in np.flatnonzero(~vocabulary.special).tolist():
        states = np.arange(len(dfa.table))
        for byte in vocabulary.token_bytes(token):
            states = table[states, dfa.classes[byte]]
        columns.setdefault(states.tobytes(), set()).add(int(automaton.classes[token]))
    assert all(len(classes) == 1 for classes in columns.values())
    assert len(columns) == len(set.union(*columns.values()))


def test_these_cases_reach_every_way_of_walking(vocabulary):
    dfas = [utf8(c.dfa()) for c in CASES.values()]
    regions = [find_region(dfa, *by_columns(dfa.table, dfa.classes)[:3], vocabulary) for dfa in dfas]
    assert all(any((r.way == way).any() for r in regions) for way in range(5)) and any(not r.way.any() for r in regions)


def test_distances_are_the_fewest_tokens_to_the_end(vocabulary):
    automaton = lift(utf8(CASES["template"].dfa()), vocabulary)
    for s in range(automaton.states):
        row = slice(automaton.offsets[s], automaton.offsets[s + 1])
        onward = automaton.distance[automaton.targets[row]].min(initial=10**6) + 1
        assert automaton.distance[s] == (0 if automaton.accept[s] else onward)


def test_twins_share_a_class_and_special_ids_have_none():
    vocabulary = dc.Vocabulary([b"a", b"b", b"a", None, b"ab"], eos_id=3)
    automaton = lift(utf8(dc.regex("(ab)*").dfa()), vocabulary)
    assert automaton.classes[0] == automaton.classes[2] >= 0 and automaton.classes[3] == -1
    assert automaton.classes[1] != automaton.classes[0] != automaton.classes[4]


def test_a_tokenizer_that_drops_a_leading_space_spells_texts_with_and_without_it():
    vocabulary = dc.Vocabulary([b" a", b"a", b" ", b"b", None], eos_id=4, strips_leading_space=True)
    for text, ways in {"ab": {(0, 3), (1, 3), (2, 1, 3)}, " ab": {(2, 0, 3), (2, 2, 1, 3)}}.items():
        compiled = dc.compile(dc.literal(text), vocabulary, cache=False)
        found = set()
        for n in range(5):
            frontier = [((), 0)]
            for _ in range(n):
                frontier = [
                    ((*ids, t), q)
                    for ids, s in frontier
                    for t in range(4)
                    for q in [_next(compiled.automaton, s, t)]
                    if q >= 0
                ]
            found |= {ids for ids, s in frontier if compiled.automaton.accept[s]}
        assert found == ways and all(vocabulary.decode(ids) == text for ids in found)


def _next(automaton, s: int, token: int) -> int:
    row = slice(automaton.offsets[s], automaton.offsets[s + 1])
    leads = dict(zip(automaton.symbols[row].tolist(), automaton.targets[row].tolist()))
    return leads.get(int(automaton.classes[token]), -1)


def test_a_vocabulary_that_cannot_spell_the_text_is_an_error():
    with pytest.raises(dc.EmptyConstraint, match="no tokens of this vocabulary spell"):
        lift(utf8(dc.literal("xyz").dfa()), dc.Vocabulary([b"x", b"y", None], eos_id=2))


def test_states_that_no_tokens_can_finish_are_dropped():
    vocabulary = dc.Vocabulary([b"x", b"y", None], eos_id=2)
    automaton = lift(utf8(dc.choice(["xyz", "xx"]).dfa()), vocabulary)
    assert automaton.states == 3 and automaton.distance.tolist() == [2, 1, 0]

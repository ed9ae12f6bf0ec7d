"""Against the `jsonschema` package: on random schemas, what we accept is what it calls valid."""

import copy
import itertools
import json
import random
import re

import pytest
from json_schema_cases import Cases, Wild, older, orders

from dgemma_constrain.automata.dfa import compile_nfa
from dgemma_constrain.constraints.json_schema import compile_schema
from dgemma_constrain.errors import ConstraintError, LimitExceeded, SchemaError, UnsupportedSchema

jsonschema = pytest.importorskip("jsonschema")


DRAFTS = {
    2020: ("https://json-schema.org/draft/2020-12/schema", jsonschema.Draft202012Validator),
    2019: ("https://json-schema.org/draft/2019-09/schema", jsonschema.Draft201909Validator),
    7: ("http://json-schema.org/draft-07/schema#", jsonschema.Draft7Validator),
}


def oracle(schema, year=2020):
    """A validator; Python's `$` also stands before a final line break, ECMA's does not."""
    text = json.dumps(schema)
    for pattern in patterns(schema):
        text = text.replace(json.dumps(pattern), json.dumps(pattern.replace("$", chr(92) + "Z")))
    kind = DRAFTS[year][1]
    return kind(json.loads(text), format_checker=kind.FORMAT_CHECKER)


def patterns(schema):
    if isinstance(schema, dict):
        own = [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
        own += schema["patternProperties"] if isinstance(schema.get("patternProperties"), dict) else []
        return {*own, *(p for member in schema.values() for p in patterns(member))}
    return {p for member in schema for p in patterns(member)} if isinstance(schema, list) else set()


def random_text(dfa, rng, limit=400):
    """A random walk to an accepting state, on a shortest way out after a while; None if it came out too long."""
    steps, text, state = rng.randrange(2, 40), [], 0
    distance = ways_out(dfa)
    while len(text) < limit:
        if dfa.accept[state] and (len(text) >= steps or rng.random() < 0.2):
            return "".join(text)
        row = range(dfa.offsets[state], dfa.offsets[state + 1])
        if not row:
            return "".join(text)
        closest = [e for e in row if distance[dfa.targets[e]] < distance[state]]
        edge = rng.choice(closest if len(text) >= steps and closest else row)
        lo, hi = rng.choice(dfa.alphabet.charset([dfa.symbols[edge]]).pairs())
        text.append(chr(rng.randint(lo, hi)))
        state = dfa.targets[edge]
    return None


def ways_out(dfa):
    """How many characters each state is away from acceptance."""
    distance = [0 if accept else 10**9 for accept in dfa.accept]
    changed = True
    while changed:
        changed = False
        for s in reversed(range(dfa.states)):
            near = min((distance[t] + 1 for t in dfa.targets[dfa.offsets[s] : dfa.offsets[s + 1]]), default=10**9)
            if near < distance[s]:
                distance[s], changed = near, True
    return distance


def levels(value):
    """How many arrays and objects are inside one another."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, (dict, list)) + max(map(levels, inside), default=0)


def check(seed, kind=Cases):
    """(1 if it compiled, valid values seen, invalid values seen) of one seed."""
    cases, rng = kind(seed), random.Random(seed)
    schema = cases.schema()
    values = [cases.value(schema, rng.choice([0, 0.1, 0.3])) for _ in range(16)]
    year = 2020
    if kind is Wild:
        year = list(DRAFTS)[seed % 3]
        schema = older(schema, year) | {"$schema": DRAFTS[year][0]}
        values += map(cases.nearly, values[:8])
    validator = oracle(schema, year)
    judged = list(map(validator.is_valid, values))
    valid = sum(judged)
    try:
        constraint = compile_schema(schema)
        dfa = compile_nfa(constraint.nfa())
    except (UnsupportedSchema, LimitExceeded):
        return 0, 0, 0
    except SchemaError as error:
        assert not valid, (schema, error, valid)
        return 0, 0, 0
    for value, good in zip(values, judged):
        reached = not good or constraint.depth() is None or levels(value) <= constraint.depth()
        ways = list(itertools.islice(orders(value), 150))
        for _ in range(2):
            texts = list(map(cases.spelling, ways))
            assert json.loads(texts[0]) == value
            assert any(map(constraint.accepts, texts)) == good, (schema, value, good)
            if reached and not (good and constraint.narrowed):
                assert any(map(dfa.accepts, texts)) == good, (schema, value, good)
    if constraint.outline.is_recursive or rng.random() < 0.5:
        for _ in range(6):
            text = random_text(dfa, rng)
            if text is not None and not ("multipleOf" in json.dumps(schema) and re.search("[0-9]e", text, re.I)):
                # (the remainder of a double is not exact)
                assert dfa.accepts(text) and constraint.accepts(text)
                validator.validate(json.loads(text))
        return 1, valid, len(values) - valid
    for whitespace, options in (("compact", {"separators": (",", ":")}), ("pretty", {"indent": 2})):
        narrow = compile_schema(schema, whitespace)
        narrower = compile_nfa(narrow.nfa())
        for value, good in zip(values, judged):
            texts = [json.dumps(v, ensure_ascii=False, **options) for v in itertools.islice(orders(value), 150)]
            assert any(map(narrow.accepts, texts)) == good, (schema, value)
            if not (good and narrow.narrowed):
                assert any(map(narrower.accepts, texts)) == good, (schema, value)
    return 1, valid, len(values) - valid


def run(seeds, kind=Cases):
    compiled, valid, invalid = map(sum, zip(*(check(seed, kind) for seed in seeds)))
    assert compiled > 0.6 * len(seeds) and valid > 2 * len(seeds) and invalid > 2 * len(seeds), (
        compiled,
        valid,
        invalid,
    )


def test_random_schemas():
    run(range(70))


def test_random_schemas_of_three_drafts_with_references_back():
    run(range(21), Wild)


@pytest.mark.slow
def test_many_random_schemas_of_three_drafts_with_references_back():
    run(range(2000, 2036), Wild)


JUNK = [None, True, -1, 0.5, 3, "", "string", [], {}, ["a", "a"], [{}], {"a": {}}, "#", "#/properties/a", [[1]], "("]


def spoil(schema, rng):
    """Put something silly at a random place."""
    place = schema
    while place:
        key = (
            rng.choice([k for k in place if k != "type"] or list(place))
            if isinstance(place, dict)
            else rng.randrange(len(place))
        )
        if rng.random() < 0.4 or not isinstance(place[key], (dict, list)):
            place[key] = copy.deepcopy(rng.choice(JUNK))
            return
        place = place[key]


def is_schema(document):
    try:
        jsonschema.Draft202012Validator.check_schema(document)
    except jsonschema.SchemaError:
        return False
    return True


def test_spoilt_schemas_are_refused_by_our_own_errors_or_still_sound():
    compiled = 0
    for seed in range(250):
        rng, schema = random.Random(seed), Cases(seed).schema()
        if not isinstance(schema, dict):
            continue
        for _ in range(rng.randint(1, 2)):
            spoil(schema, rng)
        try:
            nfa = compile_schema(schema).nfa()
        except ConstraintError as error:
            assert str(error)
            continue
        text = random_text(compile_nfa(nfa), rng)
        if text is not None and is_schema(schema):
            oracle(schema).validate(json.loads(text))
            compiled += 1
    assert compiled > 25


@pytest.mark.slow
def test_many_random_schemas():
    run(range(1000, 1050))

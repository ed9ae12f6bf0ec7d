"""Against the `jsonschema` package: on random schemas, what we accept is what it calls valid."""

import copy
import json
import random

import pytest
from json_schema_cases import Cases

from dgemma_constrain.automata.dfa import compile_nfa
from dgemma_constrain.constraints.json_schema import compile_schema
from dgemma_constrain.errors import ConstraintError, SchemaError, UnsupportedSchema

jsonschema = pytest.importorskip("jsonschema")


def oracle(schema):
    """A validator; Python's `$` also stands before a final line break, ECMA's does not."""
    text = json.dumps(schema)
    loose = {
        f'"pattern": {json.dumps(p)}': f'"pattern": {json.dumps(p.replace("$", chr(92) + "Z"))}'
        for p in patterns(schema)
    }
    for old, new in loose.items():
        text = text.replace(old, new)
    return jsonschema.Draft202012Validator(json.loads(text))


def patterns(schema):
    if isinstance(schema, dict):
        own = [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
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


def check(seed):
    """(schema compiled, valid values seen, invalid values seen) of one seed."""
    cases, rng = Cases(seed), random.Random(seed)
    schema = cases.schema()
    validator = oracle(schema)
    values = [cases.value(schema, rng.choice([0, 0.1, 0.3])) for _ in range(12)]
    try:
        dfa = compile_nfa(compile_schema(schema).nfa())
    except SchemaError as error:  # a contradiction somewhere: then no value reaches that place
        assert not isinstance(error, UnsupportedSchema), (schema, error)
        return 0, 0, 0
    valid = 0
    for value in values:
        good = validator.is_valid(value)
        valid += good
        for _ in range(3):
            text = cases.spelling(value)
            assert json.loads(text) == value
            assert dfa.accepts(text) == good, (schema, text)
    for whitespace, options in (("compact", {"separators": (",", ":")}), ("pretty", {"indent": 2})):
        narrower = compile_nfa(compile_schema(schema, whitespace).nfa())
        for value in values:
            text = json.dumps(value, sort_keys=True, ensure_ascii=False, **options)
            assert narrower.accepts(text) == validator.is_valid(value), (schema, text)
    for _ in range(6):
        text = random_text(dfa, rng)
        if text is not None:
            assert dfa.accepts(text)
            validator.validate(json.loads(text))
    return 1, valid, len(values) - valid


def run(seeds):
    compiled, valid, invalid = map(sum, zip(*map(check, seeds)))
    assert compiled > 0.6 * len(seeds) and valid > 2 * len(seeds) and invalid > 2 * len(seeds), (
        compiled,
        valid,
        invalid,
    )


def test_random_schemas():
    run(range(250))


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
    for seed in range(800):
        rng, schema = random.Random(seed), Cases(seed).schema()
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
    assert compiled > 50


@pytest.mark.slow
def test_many_random_schemas():
    run(range(1000, 6000))

"""Sets of numbers and their spellings: against decimal arithmetic over all short texts, and on random bounds."""

import itertools
import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import compile_nfa, intersect, subtract, unite
from dgemma_constrain.automata.nfa import repeat, symbol
from dgemma_constrain.constraints.json_schema import compile_schema, numbers
from dgemma_constrain.constraints.json_schema.number_spellings import LARGEST, spellings
from dgemma_constrain.errors import ConstraintError, LimitExceeded

JSON_NUMBER = re.compile(r"(-?(?:0|[1-9]\d*)(?:\.\d+)?)(?:[eE]([+-]?\d+))?")
CHARACTERS, LONGEST = "-.0125e+", 5
TEXTS = {
    text: (Fraction(Decimal(found[1])), None if found[2] is None else int(found[2]))
    for length in range(1, LONGEST + 1)
    for text in map("".join, itertools.product(CHARACTERS, repeat=length))
    if (found := JSON_NUMBER.fullmatch(text))
}
SHORT = compile_nfa(repeat(symbol(Charset.of(CHARACTERS)), 1, LONGEST))


def power(e):
    return Fraction(10) ** e


def whole(x):
    return x.denominator == 1


ALWAYS = {True: True, False: True}
NEGATIVE_TOO, POSITIVE_TOO = {True: True, False: False}, {True: False, False: True}

# name: the set, what is in it, whether it holds 10x and x/10 with every x (where it depends: {is x < 0: …})
SETS = {
    "all": (numbers.everything(), lambda x: True, True, True),
    "integers": (numbers.integers(), whole, True, False),
    "positive": (numbers.interval(above=0), lambda x: x > 0, True, True),
    "not negative": (numbers.interval(least=0), lambda x: x >= 0, True, True),
    "from 2": (numbers.interval(least=2), lambda x: x >= 2, True, False),
    "below 1.5": (numbers.interval(below=Decimal("1.5")), lambda x: x < Fraction(3, 2), NEGATIVE_TOO, ALWAYS),
    "above -0.5": (numbers.interval(above=Decimal("-0.5")), lambda x: x > Fraction(-1, 2), POSITIVE_TOO, ALWAYS),
    "at most -2": (numbers.interval(most=-2), lambda x: x <= -2, True, False),
    "integers to 25": (
        intersect(numbers.integers(), numbers.interval(most=25)),
        lambda x: whole(x) and x <= 25,
        NEGATIVE_TOO,
        {True: False, False: False},
    ),
    "a unit": (numbers.interval(0, 1), lambda x: 0 <= x <= 1, False, True),
    "open unit": (numbers.interval(above=0, below=1), lambda x: 0 < x < 1, False, True),
    "around 0": (numbers.interval(Decimal("-2.5"), Decimal("0.25")), lambda x: -2.5 <= x <= 0.25, False, True),
    "from 12 to 125": (
        intersect(numbers.integers(), numbers.interval(12, 125)),
        lambda x: whole(x) and 12 <= x <= 125,
        False,
        False,
    ),
    "listed": (
        numbers.values([1, Decimal("-0.050"), 25.0, Decimal("5e2")]),
        lambda x: x in (1, Fraction(-1, 20), 25, 500),
        False,
        False,
    ),
    "zero": (numbers.values([0]), lambda x: x == 0, True, True),
    "not zero": (subtract(numbers.everything(), numbers.values([0])), lambda x: x != 0, True, True),
    "none": (intersect(numbers.values([1]), numbers.values([2])), lambda x: False, True, True),
    "halves": (numbers.multiples(Decimal("0.5")), lambda x: whole(2 * x), True, False),
    "twelfths of a hundred": (numbers.multiples(Decimal("0.12")), lambda x: whole(x / Fraction("0.12")), True, False),
    "fifties": (numbers.multiples(50), lambda x: whole(x / 50), True, False),
    "no integers": (subtract(numbers.everything(), numbers.integers()), lambda x: not whole(x), False, True),
}


@pytest.mark.parametrize("shifts", [0, 1, 2])
@pytest.mark.parametrize("name", SETS)
def test_spellings_are_those_that_the_docstring_says(name, shifts):
    found, inside, upward, downward = SETS[name]
    expected = set()
    for text, (m, e) in TEXTS.items():
        up, down = (upward, downward) if not isinstance(upward, dict) else (upward[m < 0], downward[m < 0])
        if e is None or abs(e) <= shifts:
            right = inside(m * power(e or 0))
        elif e > 0:
            right = up and inside(m * power(shifts))
        else:
            right = down and inside(m / power(shifts))
        if e is not None and shifts < e <= LARGEST and not up and re.match(rf"-?[1-9](\.[0-9]{{1,{e}}})?[eE]", text):
            right = inside(m * power(e))
        if right or (m == 0 and inside(m)):
            expected.add(text)
    dfa = intersect(compile_nfa(spellings(found, shifts=shifts)), SHORT)
    assert set(dfa.words()) == expected


@pytest.mark.parametrize("name", ["all", "positive", "not negative", "zero", "not zero"])
def test_nothing_is_left_out_where_the_size_of_numbers_means_nothing(name):
    found, inside, _, _ = SETS[name]
    dfa = intersect(compile_nfa(spellings(found)), SHORT)
    assert set(dfa.words()) == {text for text, (m, e) in TEXTS.items() if inside(m)}


@pytest.mark.parametrize("name", SETS)
def test_every_number_has_one_canonical_spelling(name):
    found, inside, _, _ = SETS[name]
    plain = {m for m, e in TEXTS.values() if e is None}
    assert set(intersect(found, SHORT).words()) <= {text for text, (_, e) in TEXTS.items() if e is None}
    for text, (m, e) in TEXTS.items():
        if e is None:
            assert numbers.accepts(found, Decimal(text)) == inside(m)
    assert len({numbers.canonical(Decimal(text)) for text, (_, e) in TEXTS.items() if e is None}) == len(plain)


DECIMALS = st.builds(
    lambda sign, digits, exponent: Decimal(f"{sign}{digits}e{exponent}"),
    st.sampled_from(["", "-"]),
    st.integers(0, 10**6) | st.integers(0, 10**40),
    st.integers(-8, 4) | st.integers(-330, 330),
)


@settings(max_examples=60, deadline=None)
@given(DECIMALS, st.lists(DECIMALS, min_size=5, max_size=40))
def test_intervals_compare_exactly(bound, some):
    near = [bound + step for step in (Decimal("1e-9"), Decimal("-1e-9"), 1, -1)] + [-bound, bound, bound.scaleb(1)]
    sets = [
        (numbers.interval(least=bound), Fraction.__ge__),
        (numbers.interval(above=bound), Fraction.__gt__),
        (numbers.interval(most=bound), Fraction.__le__),
        (numbers.interval(below=bound), Fraction.__lt__),
    ]
    for x in some + near:
        for found, compared in sets:
            assert numbers.accepts(found, x) == compared(Fraction(x), Fraction(bound))
    assert unite(sets[0][0], sets[3][0]).same_language(numbers.everything())
    assert intersect(sets[0][0], sets[3][0]).is_empty


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4000), st.integers(-4, 3), st.lists(DECIMALS, max_size=10), st.lists(st.integers(-(10**9), 10**9))
)
def test_multiples_are_exact(size, exponent, some, factors):
    of = Decimal(f"{size}e{exponent}")
    found = numbers.multiples(of)
    for x in [Fraction(of) * k for k in factors] + [Fraction(of) * k + Fraction(of) / 2 for k in factors]:
        if whole(x * 10**20):
            value = Decimal(f"{int(x * 10**20)}e-20")
            assert numbers.accepts(found, value) == whole(x / Fraction(of))
    for x in some:
        assert numbers.accepts(found, x) == whole(Fraction(x) / Fraction(of))


def test_multiples_with_many_digits_are_listed_between_bounds():
    of = Decimal("123456.789")
    found = numbers.multiples(of, within=numbers.interval(-(10**6), 10**6))
    assert sorted(Decimal(text) for text in found.words()) == [k * of for k in range(-8, 9)]
    with pytest.raises(LimitExceeded, match="123456.789"):
        numbers.multiples(of)
    with pytest.raises(LimitExceeded):
        numbers.multiples(of, within=numbers.interval(least=0))
    large = numbers.multiples(10**30 + 1, within=numbers.interval(0, 10**31))
    assert large.count() == 10 and numbers.accepts(large, 3 * (10**30 + 1))


def test_all_remainders_fit_where_few_are_needed():
    found = numbers.multiples(Decimal("1e-6"))
    assert numbers.accepts(found, Decimal("-3.000001")) and not numbers.accepts(found, Decimal("0.0000001"))
    assert numbers.multiples(10**12).states < 20
    assert numbers.multiples(2_000).states < 20


@pytest.mark.parametrize(
    "bound", ["1e300", "-1e300", "0.1", "1e-300", "18446744073709551615", "972783798187987123879878123.18878137"]
)
def test_bounds_of_any_size(bound):
    found = numbers.interval(least=Decimal(bound))
    texts = compile_nfa(spellings(found))
    assert texts.accepts(numbers.canonical(Decimal(bound)))
    assert not texts.accepts(numbers.canonical(Decimal(bound) - Decimal(bound).copy_abs().scaleb(-20)))


def test_what_is_no_number_or_is_too_long_is_refused():
    for value in (True, None, "1", float("inf"), float("nan"), Decimal("NaN")):
        with pytest.raises(ConstraintError):
            numbers.canonical(value)
    for value in (Decimal("1e6000"), Decimal("1e-6000"), Decimal("1e999999999")):
        with pytest.raises(LimitExceeded):
            numbers.interval(least=value)
    assert numbers.canonical(Decimal("0e999999")) == numbers.canonical(Decimal("-0.0")) == "0"
    for of in (0, -1, Decimal("-0.5"), Decimal("0.0")):
        with pytest.raises(ConstraintError, match="above 0"):
            numbers.multiples(of)


def test_floats_are_what_they_are_written_as():
    assert numbers.canonical(0.1) == "0.1"
    assert numbers.canonical(1e22) == "1" + "0" * 22
    assert numbers.accepts(numbers.integers(), 1e300) and numbers.accepts(numbers.multiples(Decimal("0.01")), 0.07)


def test_a_double_holds_what_is_written_of_multiples():
    constraint = compile_schema({"type": "number", "multipleOf": 7})
    for text in ("700", "7e2", "7.0", "70000000000000000000000000000", "-21.000", "2100e-2", "4.2e1"):
        assert constraint.dfa().accepts(text) and constraint.accepts(text)
    for text in ("7e23", "644439790914341014.39e63"):
        assert constraint.accepts(text) and not constraint.dfa().accepts(text)
    for schema in ({"type": "integer", "minimum": 0}, {"type": "number", "maximum": 10**18}, {"type": ["number"]}):
        assert compile_schema(schema).dfa().accepts("1e7") and compile_schema(schema).dfa().accepts("7.5e8")
    assert compile_schema({"type": "integer", "minimum": 0}).dfa().accepts("1e23")

"""The elementary constraints and the operators, against what Python says about the same texts."""

import itertools
import pickle
import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dgemma_constrain as dc
from dgemma_constrain.constraints.base import as_constraint

WORDS = ["".join(w) for n in range(6) for w in itertools.product("abc", repeat=n)]
phrases = st.text("ab", max_size=3)
few = st.lists(phrases, min_size=1, max_size=3)


def accepted(constraint) -> set[str]:
    return {w for w in WORDS if constraint.matches(w)}


@given(phrases)
def test_phrases_stand_where_they_should(phrase):
    assert accepted(dc.literal(phrase)) == {phrase}
    assert accepted(dc.contains(phrase)) == {w for w in WORDS if phrase in w}
    assert accepted(dc.starts_with(phrase)) == {w for w in WORDS if w.startswith(phrase)}
    assert accepted(dc.ends_with(phrase)) == {w for w in WORDS if w.endswith(phrase)}


@given(few, few)
@settings(max_examples=50)
def test_operators_are_set_algebra(first, second):
    a, b, x, y = dc.choice(first), dc.choice(second), set(first), set(second)
    assert accepted(a) == x
    assert accepted(a & b) == x & y
    assert accepted(a | b) == x | y
    assert accepted(~a) == set(WORDS) - x
    assert accepted(a + b) == {u + v for u in x for v in y if len(u + v) < 6}
    assert accepted(~(a | b) & ~dc.contains("c")) == {w for w in WORDS if w not in x | y and "c" not in w}
    assert accepted((a & ~b) + "c") == {u + "c" for u in x - y}


@given(few, st.integers(0, 7), st.integers(0, 5))
def test_repeat_counts(options, least, more):
    layer, expected = {""}, set()
    for n in range(least + more + 1):
        expected |= layer if n >= least else set()
        layer = {a + b for a in layer for b in options if len(a + b) <= 5}
    assert accepted(dc.choice(options).repeat(least, least + more)) == expected
    for n in range(8):
        expected |= layer
        layer = {a + b for a in layer for b in options if len(a + b) <= 5}
    assert accepted(dc.choice(options).repeat(least)) == expected


def test_texts_stand_for_themselves_beside_an_operator():
    word = dc.regex("[a-z]+")
    assert ("<" + word + ">").matches("<ab>") and (word | "12").matches("12") and ("12" | word).matches("12")
    assert ("ab" & word).matches("ab") and not (word & "12").matches("12")


@given(st.text(max_size=8))
def test_any_text_is_text(text):
    assert dc.text().matches(text)
    assert dc.literal(text).matches(text) and not dc.literal(text).matches(text + "x")
    assert not dc.text().matches(text + "\ud800")  # but half a surrogate pair is no text


# Runs of a source


def runs(source: str, unit: str) -> set[str]:
    pieces = re.finditer(r"\w+|[^\w\s]" if unit == "word" else "(?s:.)", source)
    spans = [m.span() for m in pieces]
    return {source[a:b] for i, (a, _) in enumerate(spans) for _, b in spans[i:]}


sources = st.text("abé_1 \n\t,.\U0001f600", max_size=14)


@given(
    sources
    | st.lists(st.sampled_from(["the", "then", "theme", "a", " ", "  ", "\n ", ",", ",,", "é"]), max_size=12).map(
        "".join
    )
)
@example("the then theme the, thenthe a the  then")
@example("a a  a   a\ta")
@example("x xy xyz x xyzw xy")
@settings(max_examples=150)
def test_substring_is_every_run_of_the_source_and_nothing_else(source):
    for unit in ("word", "char"):
        if runs(source, unit):
            found = list(dc.substring(source, unit).dfa().words())
            assert set(found) == runs(source, unit) and len(found) == len(set(found))


def test_substring_has_the_smallest_automaton():
    source = "the then, theme the. then the  the theme; a the thenthe"
    found, listed = dc.substring(source).dfa(), dc.choice(sorted(runs(source, "word"))).dfa()
    assert found.same_language(listed)


def test_a_long_source_is_fast():
    words = [f"w{n * 7919 % 3001}" for n in range(10_000)]
    source = " ".join(words)
    dc.substring("warm up").dfa()
    times = []
    for _ in range(3):
        began = time.process_time()
        runs_of_it = dc.substring(source)
        runs_of_it.dfa()
        times.append(time.process_time() - began)
    assert min(times) < 0.5  # about 0.03 s on an idle core
    assert runs_of_it.matches(" ".join(words[100:200])) and not runs_of_it.matches(f"{words[0]} {words[2]}")


# What goes wrong, and where


@given(few, st.text("abc", max_size=5))
def test_explain_names_the_first_place_after_which_nothing_fits(options, text):
    mismatch = dc.choice(options).explain(text)
    assert (mismatch is None) == (text in options)
    if mismatch:
        p = mismatch.position
        assert any(o.startswith(text[:p]) for o in options)
        assert p == len(text) or not any(o.startswith(text[: p + 1]) for o in options)
        assert mismatch.found == (repr(text[p]) if p < len(text) else "end of text")
        following = {o[p] for o in options if o.startswith(text[:p]) and len(o) > p}
        if len(following) == 1 and text[:p] not in options:
            assert mismatch.expected.startswith(f"'{min(following)}")
        assert ("end of text" in mismatch.expected) == (text[:p] in options)


@pytest.mark.parametrize(
    "constraint, text, expected",
    [
        (dc.literal("Dear Anna"), "Dear Bob", dc.Mismatch(5, "'B'", "'Anna'")),
        (dc.literal("Dear Anna"), "De", dc.Mismatch(2, "end of text", "'ar Anna'")),
        (dc.literal("ab"), "abc", dc.Mismatch(2, "'c'", "end of text")),
        (dc.literal(""), "x", dc.Mismatch(0, "'x'", "end of text")),
        (dc.choice(["cat", "car"]), "cab", dc.Mismatch(2, "'b'", "'r', 't'")),
        (dc.regex("[a-z]+"), "ab1", dc.Mismatch(2, "'1'", "'a'-'z' or end of text")),
        (dc.regex("[^,]"), ",", dc.Mismatch(0, "','", "any character but ','")),
        (dc.text(), "a\ud800", dc.Mismatch(1, "'\\ud800'", "any character or end of text")),
        (dc.text(), "all is well", None),
        (dc.literal("a") & "b", "a", dc.Mismatch(0, "'a'", "nothing: no text satisfies this constraint")),
        (dc.literal("\U0001f600!"), "\U0001f600?", dc.Mismatch(1, "'?'", "'!'")),
    ],
    ids=repr,
)
def test_explain_says_what_stands_there_and_what_could(constraint, text, expected):
    assert constraint.explain(text) == expected


def test_a_mismatch_reads_as_a_sentence():
    assert str(dc.literal("ab").explain("ax")) == "at position 1: found 'x', expected 'b'"


# Fields, values, pickling, emptiness


def test_fields_come_from_named_groups_through_every_operator():
    year = dc.regex(r"(?P<year>\d{4})")
    assert year.fields("2024") == {"year": "2024"}
    assert ("in " + year + dc.regex("(?P<rest>.*)")).fields("in 2024!") == {"year": "2024", "rest": "!"}
    assert (dc.literal("never") | year).fields("2024") == {"year": "2024"}
    assert (year & dc.regex("(?P<all>.*)")).fields("2024") == {"year": "2024", "all": "2024"}
    assert year.fields("no") == {} and ("x" + year).fields("y2024") == {} and dc.literal("a").fields("a") == {}


def test_in_a_concatenation_each_part_takes_what_it_can_left_first():
    a, b = dc.regex("(?P<a>x*)"), dc.regex("(?P<b>x*y?)")
    assert (a + b).fields("xxx") == {"a": "xxx", "b": ""}
    assert (a + b + "x").fields("xxx") == {"a": "xx", "b": ""}


def test_values_are_those_of_the_json_inside():
    number = dc.json_schema({"type": "integer"})
    assert (number | "none").value("12") == 12 and (number | "none").value("none") is None
    assert (dc.regex("1.*") & number).value("12") == 12


@pytest.mark.parametrize(
    "constraint",
    [
        dc.literal("é"),
        dc.choice(["a", "b"]),
        dc.text(),
        dc.regex("(?P<x>a+)b", ignore_case=True),
        dc.substring("some words"),
        dc.json_schema({"type": "integer"}),
        dc.template("{x}-{x}", x=dc.choice(["a", "b"])),
        (~dc.contains("a") & dc.regex("[a-z]+") | "b" + dc.ends_with("c")).repeat(1, 3),
    ],
    ids=lambda c: type(c).__name__,
)
def test_constraints_pickle_without_their_automata_and_stay_equal(constraint):
    before = len(pickle.dumps(constraint))
    states = constraint.dfa().states
    again = pickle.loads(pickle.dumps(constraint))
    assert len(pickle.dumps(constraint)) <= before + 50
    assert again == constraint and hash(again) == hash(constraint) and repr(again) == repr(constraint)
    assert again.dfa().states == states and again.dfa().same_language(constraint.dfa())


def test_constraints_cannot_be_changed():
    with pytest.raises(AttributeError):
        dc.literal("a").text = "b"


@pytest.mark.parametrize(
    "constraint, message",
    [
        (dc.literal("a") & "b", r"no text satisfies both Literal\(text='a'\) and Literal\(text='b'\); loosen one side"),
        (dc.text() + (dc.literal("a") & "b").repeat(2, 3), "no text satisfies both .*'a'.* and .*'b'"),
        (~dc.text(), r"no text satisfies Not\(inner=Text\(\)\)"),
        (dc.regex("a[^\\s\\S]"), r"no text matches the pattern"),
    ],
    ids=repr,
)
def test_what_nothing_satisfies_is_told_by_its_smallest_part(constraint, message):
    with pytest.raises(dc.EmptyConstraint, match=message):
        constraint.check_not_empty()


def test_parts_that_may_be_left_out_may_be_empty():
    nothing = dc.literal("a") & "b"
    for fine in (nothing | "x", nothing.repeat(0, 2) + "x", ~nothing):
        fine.check_not_empty()


# Bad arguments


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: dc.literal(5), "a literal must be a str, not int"),
        (lambda: dc.literal(b"a"), "a literal must be a str, not bytes"),
        (lambda: dc.literal("ab\ud800"), "half a surrogate pair at position 2"),
        (lambda: dc.choice([]), "at least one"),
        (lambda: dc.choice("abc"), "not one text; for one text use literal"),
        (lambda: dc.choice(["a", 1]), "option 1 of a choice must be a str"),
        (lambda: dc.choice(["a", "\udfff"]), "option 1 of a choice holds half a surrogate pair at position 0"),
        (lambda: dc.contains(None), "must be a str"),
        (lambda: dc.starts_with("\ud800"), "half a surrogate pair"),
        (lambda: dc.ends_with(3), "must be a str"),
        (lambda: dc.substring(3), "the source of a substring must be a str"),
        (lambda: dc.substring("a", "line"), 'unit must be "word" or "char", not \'line\''),
        (lambda: dc.substring(""), "has no words"),
        (lambda: dc.substring(" \n"), "has no words"),
        (lambda: dc.substring("", "char"), "has no chars"),
        (lambda: dc.substring("a\ud800"), "half a surrogate pair at position 1"),
        (lambda: dc.regex(5), "a pattern must be a str"),
        (lambda: dc.regex("a", flavor="perl"), "perl"),
        (lambda: dc.text() & 5, "a constraint or a text is needed here, not int: 5"),
        (lambda: None | dc.text(), "not NoneType"),
        (lambda: dc.text() + ["a"], "not list"),
        (lambda: dc.text().repeat(-1), "bounds are whole numbers"),
        (lambda: dc.text().repeat(True), "bounds are whole numbers"),
        (lambda: dc.text().repeat(0, 1.5), "bounds are whole numbers"),
        (lambda: dc.text().repeat(3, 2), "the upper bound is below the lower one"),
        (lambda: as_constraint(object()), "a constraint or a text is needed here, not object"),
    ],
)
def test_bad_arguments_are_errors_that_name_them(make, message):
    with pytest.raises(dc.ConstraintError, match=message):
        make()


# Large inputs

LARGE = 10_000_000


@pytest.mark.parametrize(
    "make",
    [
        lambda: dc.literal("a" * LARGE),
        lambda: dc.choice(["a" * LARGE, "b"]),
        lambda: dc.choice([f"{n:07}" for n in range(LARGE // 7)]),
        lambda: dc.contains("ab" * (LARGE // 2)),
        lambda: dc.substring("word " * (LARGE // 5)),
        lambda: dc.literal("ab").repeat(0, LARGE),
        lambda: dc.regex("[ab]*a[ab]{3}").repeat(LARGE),
    ],
    ids=["literal", "one long option", "many options", "contains", "substring", "repeat", "repeat at least"],
)
def test_inputs_that_are_too_large_end_soon_with_a_way_out(make):
    constraint = make()
    began = time.process_time()
    with pytest.raises(dc.LimitExceeded, match=r"raise Limits\(states=|lower the upper bound"):
        constraint.dfa()
    assert time.process_time() - began < 3


def test_large_inputs_that_fit_work():
    text = "ab" * 200_000
    assert dc.literal(text).matches(text) and not dc.literal(text).matches(text[:-1])
    many = dc.choice([f"{n:06}" for n in range(0, 1_000_000, 9)])
    assert many.matches("000009") and not many.matches("000010") and many.dfa().count() == 111_112
    assert dc.contains("needle").matches("hay" * 1_000_000 + "needle")
    assert dc.literal("hay").repeat().explain("hay" * 1_000_000 + "x").position == 3_000_000


def test_many_copies_of_what_may_be_empty_are_cheap():
    maybe = dc.choice(["", "a"])
    began = time.process_time()
    assert maybe.repeat(2, 10_000).dfa().count() == 10_001
    assert maybe.repeat(7).dfa().same_language(dc.regex("a*").dfa())
    assert dc.regex("(?:ab)*").repeat(6, 9).dfa().same_language(dc.regex("(?:ab)*").dfa())
    assert time.process_time() - began < 5


def test_large_results_keep_to_the_limits_given():
    with pytest.raises(dc.LimitExceeded, match="more than 100 states"):
        dc.literal("a" * 200).dfa(dc.Limits(states=100))
    assert dc.literal("a" * 200).dfa(dc.Limits(states=1000)).states == 201

"""Automata over characters, against direct simulation, set algebra and a textbook minimisation."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgemma_constrain.automata import nfa as fragments
from dgemma_constrain.automata.acyclic import equal_states
from dgemma_constrain.automata.alphabet import alphabet_of, members, refine
from dgemma_constrain.automata.charset import ANY, EMPTY, Charset
from dgemma_constrain.automata.determinize import LISTS, determinize
from dgemma_constrain.automata.dfa import DFA, compile_nfa, complement, intersect, reduced, subtract, unite
from dgemma_constrain.automata.kernels import random_words
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.minimize import equivalent_states, trim
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.errors import LimitExceeded

LABELS = (Charset.of("a"), Charset.of("b"), Charset.of("ab"), ~Charset.of("a"), ANY)
READS = ("a", "b", "ab", "bc", "abc")  # what each label reads of the letters below; "c" stands for all other characters
LETTERS = "abc"
WORDS = ["".join(w) for n in range(6) for w in itertools.product(LETTERS, repeat=n)]

states = st.integers(0, 4)
nfas = st.builds(
    lambda edges, jumps: NFA(
        5, np.array(edges, np.int32).reshape(-1, 3), np.array(jumps, np.int32).reshape(-1, 2), LABELS
    ),
    st.lists(st.tuples(states, st.integers(0, len(LABELS) - 1), states), min_size=2, max_size=9),
    st.lists(st.tuples(states, states), max_size=3),
)


def closed(nfa: NFA, subset) -> frozenset:
    subset = set(subset)
    while more := {t for s, t in nfa.jumps.tolist() if s in subset} - subset:
        subset |= more
    return frozenset(subset)


def step(nfa: NFA, subset: frozenset, letter: str) -> frozenset:
    return closed(nfa, {t for s, label, t in nfa.edges.tolist() if s in subset and letter in READS[label]})


def simulate(nfa: NFA, word: str) -> bool:
    subset = closed(nfa, {0})
    for letter in word:
        subset = step(nfa, subset, letter)
    return nfa.states - 1 in subset


def fewest_states(nfa: NFA) -> int:
    """Subsets, then Moore's refinement round by round; the dead class is not counted."""
    start = closed(nfa, {0})
    table, todo = {}, [start]
    while todo:
        s = todo.pop()
        if s not in table:
            table[s] = [step(nfa, s, letter) for letter in LETTERS]
            todo += table[s]
    part = {s: nfa.states - 1 in s for s in table}
    while True:
        signature = {s: (part[s], *(part[t] for t in table[s])) for s in table}
        names = {sig: i for i, sig in enumerate(sorted(set(signature.values())))}
        finer = {s: names[signature[s]] for s in table}
        if len(names) == len(set(part.values())):
            break
        part = finer
    alive = {s for s in table if nfa.states - 1 in s}
    while more := {s for s in table if s not in alive and alive & set(table[s])}:
        alive |= more
    return max(1, len({part[s] for s in alive}))


def language(nfa: NFA) -> set[str]:
    return {w for w in WORDS if simulate(nfa, w)}


def accepted(dfa: DFA) -> set[str]:
    return {w for w in WORDS if dfa.accepts(w)}


# Sets of characters

ranges = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4)
edges_of_unicode = st.lists(
    st.tuples(*[st.sampled_from([0, 65, 0x7F, 0xD7FF, 0xD800, 0xDFFF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF])] * 2),
    max_size=3,
)


@given(ranges, ranges)
def test_charset_algebra_is_set_algebra(first, second):
    a, b = Charset.ranges(first), Charset.ranges(second)
    x, y = ({p for lo, hi in r for p in range(lo, hi + 1)} for r in (first, second))
    for found, expected in ((a | b, x | y), (a & b, x & y), (a - b, x - y)):
        assert {p for lo, hi in found.pairs() for p in range(lo, hi + 1)} == expected
        assert len(found) == len(expected) and bool(found) == bool(expected)
        assert [p in found for p in range(45)] == [p in expected for p in range(45)]
        assert found == Charset.ranges((p, p) for p in expected) and hash(found) == hash(
            Charset.ranges((p, p) for p in expected)
        )


@given(edges_of_unicode)
def test_charsets_hold_no_surrogates_and_complement_is_within_the_characters(pairs):
    charset = Charset.ranges(pairs)
    assert not any(p in charset for p in (0xD800, 0xDABC, 0xDFFF))
    assert ~~charset == charset and charset | ~charset == ANY and charset & ~charset == EMPTY
    assert len(charset) + len(~charset) == 0x110000 - 0x800


@given(st.lists(ranges, max_size=5))
def test_alphabets_separate_exactly_what_some_set_separates(several):
    charsets = [Charset.ranges(r) for r in several]
    alphabet = alphabet_of(charsets)
    points = [*range(45), 0xD7FF, 0xE000, 0x10FFFF]
    classes = alphabet.of(np.array(points)).tolist()
    signature = [tuple(p in c for c in charsets) for p in points]
    for i, j in itertools.combinations(range(len(points)), 2):
        assert (classes[i] == classes[j]) == (signature[i] == signature[j])
    assert alphabet.of(np.array([0xD800, 0xDFFF])).tolist() == [-1, -1]
    offsets, rows = members(alphabet, charsets)
    for k, charset in enumerate(charsets):
        assert alphabet.charset(rows[offsets[k] : offsets[k + 1]]) == charset


@given(st.lists(ranges, max_size=3), st.lists(ranges, max_size=3))
def test_a_refinement_knows_the_class_on_either_side(first, second):
    a, b = (alphabet_of([Charset.ranges(r) for r in several]) for several in (first, second))
    joint, of_a, of_b = refine(a, b)
    points = np.array([*range(45), 0xD800, 0xE000, 0x10FFFF])
    pairs = {c: (x, y) for c, x, y in zip(joint.of(points).tolist(), a.of(points).tolist(), b.of(points).tolist())}
    assert all((of_a[c], of_b[c]) == pair for c, pair in pairs.items() if c >= 0)
    assert len(set(pairs.values())) == len(pairs)


# Deterministic, minimal, canonical


@given(nfas)
def test_a_dfa_accepts_what_its_nfa_accepts(nfa):
    assert accepted(compile_nfa(nfa)) == language(nfa)


@given(nfas)
def test_a_dfa_has_as_few_states_as_there_can_be(nfa):
    dfa = compile_nfa(nfa)
    assert dfa.states == fewest_states(nfa)
    assert dfa.is_empty == (not language(nfa))


@given(nfas)
def test_a_reduced_fragment_is_the_minimal_automaton(nfa):
    dfa, fragment = compile_nfa(nfa), reduced(nfa)
    assert fragment.states == dfa.states + 1
    assert compile_nfa(fragment).same_language(dfa)


def test_more_lists_of_sets_than_are_remembered_are_cut_as_well():
    letters = [chr(0x4E00 + i) for i in range(60)]
    texts = [
        chr(0x100 + i) + letter + end
        for i, pair in enumerate(itertools.combinations(letters, 2))
        for letter, end in zip(pair, "xy")
    ]
    assert len(texts) > 2 * LISTS
    assert set(compile_nfa(fragments.strings(texts)).words()) == set(texts)
    either = fragments.union([fragments.strings(texts), fragments.literal(texts[7] + "!")])
    assert set(compile_nfa(either).words()) == {*texts, texts[7] + "!"}


@given(nfas, nfas)
@settings(max_examples=200)
def test_equal_languages_have_equal_arrays(first, second):
    a, b = compile_nfa(first), compile_nfa(second)
    assert a.same_language(b) == (
        language(first) == language(second) and subtract(a, b).is_empty and subtract(b, a).is_empty
    )
    assert a.same_language(compile_nfa(a.nfa()))
    assert unite(a, b).same_language(compile_nfa(fragments.union([second, first])))
    assert complement(complement(a)).same_language(a)
    assert intersect(a, b).same_language(complement(unite(complement(a), complement(b))))


@given(nfas, nfas)
def test_boolean_operations_are_set_algebra(first, second):
    a, b = compile_nfa(first), compile_nfa(second)
    x, y = language(first), language(second)
    assert accepted(intersect(a, b)) == x & y
    assert accepted(unite(a, b)) == x | y
    assert accepted(subtract(a, b)) == x - y
    assert accepted(complement(a)) == set(WORDS) - x
    assert not complement(a).accepts("\ud800")  # half a surrogate pair is no text, whatever the language


@given(st.lists(st.text("abc", max_size=5), min_size=1, max_size=60))
@settings(max_examples=200)
def test_finite_languages_are_minimised_as_any_other(texts):
    nfa = fragments.strings(texts)
    alphabet = alphabet_of(nfa.charsets)
    *rows, _, _ = determinize(nfa, members(alphabet, nfa.charsets), alphabet.size, Limits())
    offsets, labels, targets, accept, _ = trim(*rows)
    block, blocks = equal_states(offsets, labels, random_words(alphabet.size), targets, accept)
    other, others = equivalent_states(offsets, labels, targets, accept)
    assert blocks == others == len(set(zip(block.tolist(), other.tolist())))
    assert set(compile_nfa(nfa).words()) == set(texts)


@given(nfas)
def test_transitions_that_carry_sets_of_symbols_tell_the_same_states_apart(nfa):
    alphabet = alphabet_of(nfa.charsets)
    *rows, _, _ = determinize(nfa, members(alphabet, nfa.charsets), alphabet.size, Limits())
    offsets, labels, targets, accept, _ = trim(*rows)
    words = random_words(int(labels.max(initial=-1)) + 1)
    merged_offsets, merged_targets, weights = [0], [], []
    for begin, end in zip(offsets[:-1], offsets[1:]):
        for t in dict.fromkeys(targets[begin:end].tolist()):
            merged_targets.append(t)
            weights.append(words[labels[begin:end][targets[begin:end] == t]].sum(dtype=np.uint64))
        merged_offsets.append(len(weights))
    sets = np.arange(len(weights), dtype=np.int32), np.array(merged_targets, np.int32)
    block, blocks = equivalent_states(offsets, labels, targets, accept)
    other, others = equivalent_states(np.array(merged_offsets), *sets, accept, np.array(weights, np.uint64))
    assert blocks == others == len(set(zip(block.tolist(), other.tolist())))


# Combinators

texts = st.lists(st.text("ab", max_size=3), max_size=3)


def short(words) -> set[str]:
    return {w for w in words if len(w) <= 5}


def power(words: set[str], least: int, most: int) -> set[str]:
    layer, result = {""}, set()
    for n in range(most + 1):
        result |= layer if n >= least else set()
        layer = short(a + b for a in layer for b in words)
    return short(result)


@given(texts, texts, st.integers(0, 3), st.integers(0, 3))
def test_combinators_build_what_they_say(first, second, least, more):
    a, b = fragments.strings(first), fragments.strings(second)
    x, y = set(first), set(second)
    for built, expected in (
        (a, x),
        (fragments.concat([a, b]), {u + v for u in x for v in y}),
        (fragments.union([a, b]), x | y),
        (fragments.star(a), power(x, 0, 6)),
        (fragments.repeat(a, least, least + more), power(x, least, least + more)),
        (fragments.repeat(a, least, None), power(x, least, 9)),
        (fragments.repeat(fragments.star(a), least, least + more), power(power(x, 0, 6), least, least + more)),
    ):
        assert accepted(compile_nfa(built)) == short(expected)
    assert accepted(compile_nfa(fragments.concat([]))) == {""} and compile_nfa(fragments.union([])).is_empty


@given(nfas, st.integers(0, 3), st.integers(0, 5))
def test_of_overlapping_copies_the_first_say_it_all(nfa, least, more):
    repeated = fragments.repeat(nfa, least, least + more)
    copies = fragments.copies_of(nfa, least, least + more) if least + more else (0, 0, 0)
    dfa = compile_nfa(repeated, copies=copies)
    assert dfa.same_language(compile_nfa(repeated))
    assert all(dfa.accepts(word) == simulate(repeated, word) for word in WORDS[:120])


def test_overlapping_copies_take_a_state_for_each_count():
    """And not one for each two of them; measured in subsets, before the automaton is minimal."""
    letter, pair = fragments.symbol(Charset.ranges([(0x61, 0x7A)])), fragments.literal("xy")
    part = fragments.union([letter, pair])
    repeated = fragments.repeat(part, 0, 300)
    with pytest.raises(LimitExceeded):
        compile_nfa(repeated, Limits(states=2_000))
    assert compile_nfa(repeated, Limits(states=2_000), fragments.copies_of(part, 0, 300)).states == 601


def test_a_symbol_of_no_characters_is_nothing():
    assert compile_nfa(fragments.symbol(EMPTY)).is_empty
    assert compile_nfa(fragments.symbol(ANY)).accepts("\U0010ffff") and not compile_nfa(fragments.symbol(ANY)).accepts(
        ""
    )


# Asking a DFA


@given(st.lists(st.text("abé\U0001f600", max_size=5), max_size=6))
def test_finite_languages_are_counted_listed_and_have_a_shortest_text(several):
    dfa = compile_nfa(fragments.strings(several))
    expected = set(several)
    assert dfa.is_finite() and dfa.count() == len(expected)
    found = list(dfa.words())
    assert set(found) == expected and len(found) == len(expected)
    assert dfa.shortest() == min(expected, key=lambda t: (len(t), t), default=None)


@given(nfas)
def test_the_shortest_text_of_any_language(nfa):
    dfa, words = compile_nfa(nfa), language(nfa)
    assert (dfa.shortest() is None) == (not words)
    if words:
        assert simulate(nfa, "".join(c if c in "ab" else "c" for c in dfa.shortest()))
        assert len(dfa.shortest()) == min(map(len, words))


def test_an_infinite_language_has_no_count():
    dfa = compile_nfa(fragments.star(fragments.literal("ab")))
    assert dfa.count() is None and not dfa.is_finite() and dfa.shortest() == ""


def test_a_count_may_be_astronomic():
    dfa = compile_nfa(fragments.repeat(fragments.symbol(ANY), 20, 20))
    assert dfa.count() == (0x110000 - 0x800) ** 20


def test_run_tells_how_far_a_text_can_be_read_and_what_can_follow():
    dfa = compile_nfa(fragments.strings(["cat", "car", "dog"]))
    read, state = dfa.run("cab")
    assert read == 2 and dfa.next_characters(state) == Charset.of("rt")
    assert dfa.run("catty")[0] == 3 and not dfa.next_characters(dfa.run("cat")[1])


# Limits

explosive = fragments.concat([
    fragments.star(fragments.symbol(LABELS[2])),
    fragments.literal("a"),
    fragments.repeat(fragments.symbol(LABELS[2]), 40, 40),
])  # fmt: skip
chain = fragments.repeat(fragments.strings(["", "a"]), 0, 3000)


def grown_product(limits):
    counters = [compile_nfa(fragments.star(fragments.repeat(fragments.symbol(ANY), p, p))) for p in (101, 103, 107)]
    return intersect(intersect(counters[0], counters[1], limits), counters[2], limits)


@pytest.mark.parametrize(
    "grow, limits, way_out",
    [
        (
            lambda limits: compile_nfa(explosive, limits),
            Limits(states=5000),
            "needs more than 5,000 states.*Limits.states=",
        ),
        (
            lambda limits: compile_nfa(explosive, limits),
            Limits(seconds=0.01),
            "takes more than about 0.01 s.*Limits.seconds=",
        ),
        (lambda limits: compile_nfa(chain, limits), Limits(seconds=0.01), "empty steps.*Limits.seconds="),
        (lambda limits: compile_nfa(chain, limits), Limits(seconds=0.5), "deterministic.*Limits.seconds="),
        (grown_product, Limits(states=5000), "intersecting two constraints needs more than 5,000 states"),
        (grown_product, Limits(seconds=0.001), "intersecting two constraints takes more than"),
        (lambda _: fragments.repeat(fragments.repeat(explosive, 0, 2000), 0, 2000), Limits(), "lower the upper bound"),
    ],
    ids=["states", "work", "empty steps", "long closures", "product states", "product work", "copies"],
)
def test_limits_end_a_compile_soon_with_a_way_out(grow, limits, way_out):
    with pytest.raises(LimitExceeded, match=way_out):
        grow(limits)
    began = time.process_time()
    with pytest.raises(LimitExceeded):
        grow(limits)
    assert time.process_time() - began < 3

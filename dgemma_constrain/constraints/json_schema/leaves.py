"""Sets of strings and of numbers: minimal DFAs over decoded characters, or over canonical decimal spellings.

The two full sets and the empty one are single objects, and what was computed of two sets is remembered, so that most
schemas, which say nothing about most types, cost nothing here.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from weakref import WeakValueDictionary

import numpy as np

from dgemma_constrain.automata import dfa as automata
from dgemma_constrain.automata.alphabet import Alphabet
from dgemma_constrain.automata.charset import ANY
from dgemma_constrain.automata.dfa import DFA, compile_nfa
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA, NOTHING, concat, literal, repeat, star, strings, symbol, union
from dgemma_constrain.constraints import regex
from dgemma_constrain.constraints.json_schema import formats, numbers
from dgemma_constrain.constraints.json_schema.number_spellings import spellings
from dgemma_constrain.errors import LimitExceeded

PATTERN = Limits(states=100_000, seconds=0.3)  # for one string; all of a canvas may have 250,000 states

NONE = compile_nfa(NOTHING)
STRINGS = compile_nfa(star(symbol(ANY)))
NUMBERS = numbers.everything()
INTEGERS = numbers.integers()
FULL = (STRINGS, NUMBERS)


@lru_cache(maxsize=4096)
def meet(a: DFA, b: DFA) -> DFA:
    """What is in both."""
    if a is b or b in FULL:
        return a
    if a in FULL:
        return b
    return NONE if a is NONE or b is NONE else full(automata.intersect(a, b))


@lru_cache(maxsize=4096)
def join(a: DFA, b: DFA) -> DFA:
    """What is in either."""
    if a is b or b is NONE or a in FULL:
        return a
    return b if a is NONE or b in FULL else full(automata.unite(a, b))


@lru_cache(maxsize=4096)
def less(a: DFA, b: DFA) -> DFA:
    """What is in `a` and not in `b`."""
    if a is b or a is NONE or b in FULL:
        return NONE
    return a if b is NONE else full(automata.subtract(a, b))


_KNOWN: WeakValueDictionary[bytes, DFA] = WeakValueDictionary()


def full(dfa: DFA) -> DFA:
    """The one object for this set: so equal shapes are equal, whatever the caches hold."""
    digest = blake2b(digest_size=16)
    for array in (dfa.alphabet.cuts, dfa.alphabet.classes, dfa.offsets, dfa.symbols, dfa.targets, dfa.accept):
        digest.update(len(array).to_bytes(8, "little") + array.tobytes())
    return _KNOWN.setdefault(digest.digest(), dfa)


for _set in (NONE, STRINGS, NUMBERS, INTEGERS):
    full(_set)


@lru_cache(maxsize=4096)
def words(texts: frozenset[str]) -> DFA:
    """Just these."""
    return full(_word(*texts) if len(texts) == 1 else compile_nfa(strings(list(texts))))


def _word(text: str) -> DFA:
    """The minimal DFA of one text, a chain: schemas name and list thousands of them."""
    read = np.array([*map(ord, text)], np.int32)
    points = np.unique(read)
    cuts = np.unique(np.concatenate([ANY.bounds, points, points + 1])).astype(np.int32)
    runs = np.where(np.searchsorted(ANY.bounds, cuts, "right") % 2, 1, 0)  # 1: of characters that are not in the text
    if cuts[0] or not runs[np.searchsorted(cuts, points)].all():
        return compile_nfa(literal(text))  # half a surrogate pair
    runs[np.searchsorted(cuts, points)] = 2 + np.arange(len(points))
    number: dict[int, int] = {}
    classes = np.array([number.setdefault(run, len(number)) if run else -1 for run in runs.tolist()], np.int32)
    alphabet, n = Alphabet(cuts, classes, len(number)), len(read)
    offsets, targets = np.minimum(np.arange(n + 2), n), np.arange(1, n + 1, dtype=np.int32)
    return DFA(alphabet, offsets, alphabet.of(read), targets, np.arange(n + 1) == n)


@lru_cache(maxsize=256)
def lengths(least: int, most: int | None, limits: Limits = Limits()) -> DFA:
    """Strings of so many characters."""
    limits.check(max(least, most or 0) > limits.states, f"a string of {max(least, most or 0):,} characters")
    return full(compile_nfa(repeat(symbol(ANY), least, most)))


def pattern(source: str) -> tuple[DFA, bool]:
    """The strings in which a pattern is found (see `regex.searched_loosely`), and whether these are all of them: where they
    would take too many states, since a match may begin while another one is being read (`EN[A-Z]{32}`), those that begin
    with a match. Raises RegexError, LimitExceeded."""
    found, whole, why = _pattern(source)
    if found is None:
        raise LimitExceeded(why)
    return found, whole


@lru_cache(maxsize=1024)
def _pattern(source: str) -> tuple[DFA | None, bool, str]:
    why = ""
    for at_start in (False, True):
        try:
            return full(compile_nfa(regex.searched_loosely(source, PATTERN, at_start), PATTERN)), not at_start, ""
        except LimitExceeded as error:
            why = why or str(error)
    return None, False, why


def meet_of(a: DFA, b: DFA) -> DFA | None:
    """What is in both, unless that takes more than a string may."""
    if a in FULL or b in FULL or a.states * b.states <= PATTERN.states:
        return meet(a, b)
    try:
        return full(automata.intersect(a, b, PATTERN))
    except LimitExceeded:
        return None


@lru_cache(maxsize=1024)
def interval(bounds: frozenset[tuple[str, numbers.Value]]) -> DFA:
    """The numbers between bounds, by their names in `numbers.interval`."""
    return full(numbers.interval(**dict(bounds)))


@lru_cache(maxsize=256)
def multiples(of: numbers.Value, within: DFA) -> DFA:
    """The multiples of a number out of a set."""
    return full(numbers.multiples(of, within))


@lru_cache(maxsize=64)
def named(keyword: str, name: str, year: int) -> DFA | None:
    """The strings of a format or contentEncoding in a draft; None if it doesn't know it."""
    if keyword == "format":
        found = formats.language(name, year)
    else:
        found = formats.content(name)
    return None if found is None else full(found)


@lru_cache(maxsize=1)
def representable() -> DFA:
    """Spellings of numbers with an exponent, if any, that does not lead out of what a double can hold: |e| < 100, or up to
    307 after one digit other than 0. A reader that makes 1e999 infinite would find it to be no number at all."""
    exponent = r"([eE][+-]?0*[0-9]{1,2})?|-?[1-9](\.[0-9]+)?[eE][+-]?0*([12][0-9][0-9]|30[0-7])"
    return compile_nfa(regex.parse(rf"-?[0-9]+(\.[0-9]+)?{exponent}", flavor="python").nfa(Limits()))


@lru_cache(maxsize=256)
def number_texts(dfa: DFA, limits: Limits = Limits()) -> NFA:
    """The JSON texts of a set of numbers."""
    held = held_exactly() if _is_stepped(dfa) else representable()
    return automata.intersect(compile_nfa(spellings(dfa, limits), limits), held, limits).nfa()


def _is_stepped(dfa: DFA) -> bool:
    """Whether some large whole numbers are in a set and others aren't, as of multiples: then 7e23 is one of 7, but what a
    double makes of it is not."""
    large = [interval(frozenset([("least", 10**20)])), interval(frozenset([("most", -(10**20))]))]
    whole = [meet(part, INTEGERS) for part in large]
    return any(meet(dfa, part) not in (NONE, part) for part in whole)


@lru_cache(maxsize=1)
def held_exactly() -> DFA:
    """Of `representable`, spellings that a reader into doubles keeps as they are if they are whole: without point and
    exponent (it reads an integer), or below 10¹⁴."""
    pattern = r"-?[0-9]+|-?[0-9]{1,12}(\.[0-9]+)?([eE](-[0-9]+|\+?0*[0-2]))?"
    return automata.intersect(representable(), compile_nfa(regex.parse(pattern).nfa(Limits())))


ZEROS = concat([literal("."), repeat(literal("0"), 1, None)])


@lru_cache(maxsize=1024)
def plain_number_texts(dfa: DFA, limits: Limits = Limits()) -> NFA:
    """Those without exponent, and with zeros after the point only where nothing else is, if the set is finite; else all."""
    if not dfa.is_finite():
        return number_texts(dfa, limits)
    whole = meet(dfa, INTEGERS)
    parts = [dfa.nfa()] + ([] if whole is NONE else [concat([whole.nfa(), ZEROS])])
    return union(parts)


def whole_number_texts(dfa: DFA) -> NFA:
    """Those without point and exponent, of a set of whole numbers."""
    return union([dfa.nfa(), literal("-0")]) if dfa.accepts("0") else dfa.nfa()


@lru_cache(maxsize=1024)
def listed(numbers_or_strings: DFA, most: int) -> tuple[str, ...] | None:
    """All members, if there are no more than so many."""
    count = numbers_or_strings.count()
    return tuple(numbers_or_strings.words()) if count is not None and count <= most else None

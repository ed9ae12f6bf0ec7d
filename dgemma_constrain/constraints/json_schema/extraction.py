"""`values_from`: strings and numbers that stand in a source text, instead of any.

For whoever writes a schema's texts:

    source = extraction.Source(text)                # once for a schema; raises ConstraintError if it has no words
    source.strings(decoded, limits)                 # NFA of what stands between the quotes; decoded: a DFA of what
                                                    #   lengths, pattern and format leave, or None for any string
    source.numbers(numbers.everything(), limits)    # NFA of the texts of the numbers in the source that are in the set

Both give NOTHING where the source has nothing that fits: that is no error of the schema, and an optional property is
then left out. What is built is kept, so asking again costs nothing. Values of enum and const, names, booleans and null
don't come from the source: leave them as they are.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np

from dgemma_constrain.automata.charset import Charset, char
from dgemma_constrain.automata.dfa import DFA, intersect
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA, NOTHING, strings
from dgemma_constrain.automata.suffix import factors
from dgemma_constrain.constraints.json_schema import numbers
from dgemma_constrain.errors import ConstraintError, LimitExceeded

# A sign counts if it doesn't join two words; three digits after each comma make one number; .5 is one, too.
_NUMBER = re.compile(
    r"(?P<sign>(?<!\w)[-\u2212])?"
    r"(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+|(?=\.[0-9])(?<![0-9]))"
    r"(?P<rest>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+(?!\w))?)"
)
_MUST_ESCAPE = Charset.ranges([(0, 0x1F)]) | Charset.of('"\\')


@dataclass(frozen=True)
class Source:
    """A text that strings and numbers are taken from. Equal if the text is."""

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise ConstraintError(f"values_from must be the source text, not {type(self.text).__name__}")
        if not self.text.strip():
            raise ConstraintError("values_from: the source text has no words")

    def strings(self, decoded: DFA | None = None, limits: Limits = Limits()) -> NFA:
        """The runs of the source's words that are in `decoded`, with the escapes that JSON demands and no other."""
        runs = _runs(self.text, limits)
        return _escaped(runs if decoded is None else intersect(runs, decoded, limits))

    def numbers(self, within: DFA, limits: Limits = Limits()) -> NFA:
        """The numbers of the source that are in `within`: written plainly, and as there if that is JSON."""
        texts = [text for value, text in _numbers(self.text) if numbers.accepts(within, value)]
        return strings(texts) if texts else NOTHING


@lru_cache(maxsize=16)
def _runs(text: str, limits: Limits) -> DFA:
    return factors(text, "word", limits)


@lru_cache(maxsize=16)
def _numbers(text: str) -> tuple[tuple[Decimal, str], ...]:
    """The numbers of a text, each with every way to write it. What is too long to be read as one isn't."""
    found: dict[tuple[Decimal, str], None] = {}
    for match in _NUMBER.finditer(text):
        sign, whole = "-" if match["sign"] else "", match["whole"].replace(",", "")
        value = Decimal(f"{sign}{whole or '0'}{match['rest']}")
        try:
            found[value, numbers.canonical(value)] = None
        except LimitExceeded:
            continue
        if sign != "\u2212" and re.fullmatch(r"0|[1-9][0-9]*", whole):
            found[value, f"{sign}{whole}{match['rest']}"] = None
    return tuple(found)


@lru_cache(maxsize=64)
def _escaped(dfa: DFA) -> NFA:
    """The texts of a DFA as `json.dumps(…, ensure_ascii=False)` writes them, without the quotes."""
    if dfa.is_empty:
        return NOTHING
    nfa = dfa.nfa()
    raw = [charset - _MUST_ESCAPE for charset in nfa.charsets]
    special = [charset & _MUST_ESCAPE for charset in nfa.charsets]
    kept = np.array([bool(charset) for charset in raw])
    labels: dict[Charset, int] = {}
    number = np.array([labels.setdefault(charset, len(labels)) if charset else -1 for charset in raw])
    edges = nfa.edges[kept[nfa.edges[:, 1]]].copy()
    edges[:, 1] = number[edges[:, 1]]
    more, states, end = [], nfa.states - 1, nfa.states - 1  # the accepting state has no edges: it moves to the end
    for source, label, target in nfa.edges[np.array([bool(s) for s in special])[nfa.edges[:, 1]]].tolist():
        for lo, hi in special[label].pairs():
            for point in range(lo, hi + 1):
                spelt = json.dumps(chr(point))[1:-1]
                path = [source, *range(states, states + len(spelt) - 1), target]
                states += len(spelt) - 1
                more += [(a, labels.setdefault(char(c), len(labels)), b) for a, c, b in zip(path, spelt, path[1:])]
    jumps = nfa.jumps.copy()
    jumps[jumps[:, 1] == end, 1] = states
    rows = np.concatenate([edges, np.array(more, np.int32).reshape(-1, 3)]).astype(np.int32)
    return NFA(states + 1, rows, jumps, tuple(labels))

"""Spelling characters: UTF-8 against `bytes.decode`, the inside of JSON strings against `json.loads`."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dgemma_constrain.automata import nfa as fragments
from dgemma_constrain.automata.charset import ANY, Charset
from dgemma_constrain.automata.dfa import compile_nfa
from dgemma_constrain.automata.encodings import json_string, utf8
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.errors import LimitExceeded

EDGES = [
    0,
    0x41,
    0x7F,
    0x80,
    0x7FF,
    0x800,
    0xFFF,
    0x1000,
    0xD7FF,
    0xE000,
    0xFFFF,
    0x10000,
    0x3FFFF,
    0x40000,
    0xFFFFF,
    0x10FFFF,
]
BYTES = bytes.fromhex("00417f808f909fa0bfc0c1c2dfe0e1eceDeeeff0f1f3f4f5ff")
MASKS = {
    "everything": ANY,
    "the edges": Charset.ranges((p, p) for p in EDGES),
    "all but the edges": ~Charset.ranges((p, p) for p in EDGES),
    "beyond the BMP": Charset.ranges([(0x10000, 0x10FFFF)]),
    "every third": Charset.ranges((p, p) for p in range(0, 0x110000, 3)),
}


def verdicts(dfa, sequences: np.ndarray) -> np.ndarray:
    """Whether each row of bytes is accepted."""
    table = np.vstack([dfa.table, np.full(dfa.table.shape[1], -1)])  # row -1 is the dead state
    states = np.zeros(len(sequences), int)
    for column in sequences.T:
        states = table[states, dfa.classes[column]]
    return np.append(dfa.accept, False)[states]


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("several", [False, True], ids=["one character", "any number"])
def test_utf8_is_what_python_decodes(name, several):
    symbol = fragments.symbol(MASKS[name])
    dfa = utf8(compile_nfa(fragments.star(symbol) if several else symbol))
    for n in (1, 2, 3, 4):
        if n == 4 and several and name != "everything":
            continue
        sequences = list(itertools.product(BYTES, repeat=n))
        found = verdicts(dfa, np.array(sequences))
        for sequence, verdict in zip(sequences, found.tolist()):
            try:
                text = bytes(sequence).decode()
            except UnicodeDecodeError:
                assert not verdict, bytes(sequence)
                continue
            assert verdict == ((several or len(text) == 1) and all(c in MASKS[name] for c in text)), bytes(sequence)


def test_every_character_is_spelt_in_utf8():
    dfa = utf8(compile_nfa(fragments.symbol(MASKS["every third"])))
    for n, lo, hi in ((1, 0, 0x80), (2, 0x80, 0x800), (3, 0x800, 0x10000), (4, 0x10000, 0x110000)):
        points = [p for p in range(lo, hi) if not 0xD800 <= p < 0xE000]
        data = np.frombuffer("".join(map(chr, points)).encode(), np.uint8).reshape(-1, n)
        assert verdicts(dfa, data).tolist() == [p % 3 == 0 for p in points]


def test_every_state_is_reached_and_can_be_finished():
    dfa = utf8(compile_nfa(fragments.repeat(fragments.symbol(Charset.of("aé字😀")), 2, 5)))
    leads = [set(row[row >= 0].tolist()) for row in dfa.table]
    for begin, onward in (({0}, leads), (set(np.flatnonzero(dfa.accept).tolist()), None)):
        if onward is None:
            onward = [{s for s in range(len(leads)) if t in leads[s]} for t in range(len(leads))]
        seen = set(begin)
        while more := {t for s in seen for t in onward[s]} - seen:
            seen |= more
        assert seen == set(range(len(leads)))


CHARACTERS = 'az09/"\\\b\f\n\r\t\x00\x1f é\u2028\uffff😀\U0010ffff'
ALLOWED = {
    "everything": ANY,
    "these": Charset.of(CHARACTERS),
    "letters and breaks": Charset.of("abcdefuz0\n\t/"),
    "what must be escaped": Charset.of('"\\\x00\x1f\n'),
    "beyond the BMP": Charset.ranges([(0x10000, 0x10FFFF)]),
}
DFAS = {name: compile_nfa(fragments.repeat(fragments.symbol(c), 0, 3)) for name, c in ALLOWED.items()}
SPELT = {name: json_string(dfa) for name, dfa in DFAS.items()}

PAIRS = r"\ud83d\ude00 \uD83D\uDE00 \uDBFF\udfff \ud800\udc00 \ud800 \uDFFF \uD800\uD800 \ud83dx \ude00\ud83d".split()
hexadecimal = st.text("0123456789abcdefABCDEF", min_size=4, max_size=4)
pieces = st.one_of(
    st.sampled_from([c for c in CHARACTERS]),
    st.sampled_from([rf"\{c}" for c in '"\\/bfnrtu0aUx ']),
    st.sampled_from(PAIRS + [r"\u00e9", r"\u000A", r"\u002F", r"\u0000", r"\uD7fF", r"\ue000"]),
    st.sampled_from([r"\u12", r"\u12g4", r"\u+123", r"\u 123", r"\U0001f600"]),
    hexadecimal.map(lambda h: "\\u" + h),
    st.characters(exclude_categories=["Cs"]),
)


@pytest.mark.parametrize("name", ALLOWED)
@given(spelling=st.lists(pieces, max_size=4).map("".join))
@example(spelling=r"\ud83d\ude00\uD83D\uDE00😀")
@example(spelling=r"\ud83d😀")
@example(spelling=r"\\\"\/")
@settings(max_examples=150)
def test_json_strings_are_what_json_loads_decodes(name, spelling):
    try:
        text = json.loads(f'"{spelling}"')
        text.encode()  # half a surrogate pair is no text
        expected = len(text) <= 3 and all(c in ALLOWED[name] for c in text)
    except ValueError:
        expected = False
    assert SPELT[name].accepts(spelling) == expected


@given(st.text(max_size=3), st.integers(0, 2**32))
def test_all_ways_to_spell_a_text_are_allowed_and_no_other_text(text, seed):
    spelt = json_string(compile_nfa(fragments.literal(text)))
    ways = []
    for c in text:
        units = c.encode("utf-16-be").hex()
        escaped = "".join("\\u" + units[i : i + 4] for i in range(0, len(units), 4))
        short = {'"': r"\"", "\\": r"\\", "/": r"\/", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
        raw = [] if c < " " or c in '"\\' else [c]
        ways.append([escaped, escaped.upper().replace("\\U", "\\u"), *([short[c]] if c in short else []), *raw])
    for spelling in itertools.islice(itertools.product(*ways), 60):
        assert spelt.accepts("".join(spelling))
        assert not spelt.accepts("".join(spelling) + "\\") and not spelt.accepts("".join(spelling)[:-1]) or not text
    assert spelt.is_finite()
    if all(c >= " " and c not in '"\\/' and c < "\U00010000" for c in text):
        # Raw, or \uXXXX where each hexadecimal letter has two cases.
        expected = 1
        for c in text:
            expected *= 1 + 2 ** sum(d.isalpha() for d in f"{ord(c):04x}")
        assert spelt.count() == expected


def test_spelling_keeps_to_its_limit():
    dfa = compile_nfa(fragments.repeat(fragments.symbol(MASKS["every third"]), 0, 300))
    for spell in (utf8, json_string):
        with pytest.raises(LimitExceeded, match="spelling this constraint in bytes needs more than 500 states"):
            spell(dfa, Limits(states=500))

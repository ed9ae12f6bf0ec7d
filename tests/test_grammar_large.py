"""Grammars of thousands of rules: they work, or end soon in one line that names what grew. None hangs.

(That each takes a few seconds is measured, not asserted: a rule too many that is quadratic takes minutes here.)
"""

import pytest

import dgemma_constrain as dc
from dgemma_constrain.errors import LimitExceeded

N = 5_000


def rules(body: str, n: int = N) -> str:
    """A rule for each number, in which {i} is the number and {j} the next one; the last is followed by one more."""
    made = "".join(f"r{i}: {body.format(i=i, j=i + 1)}\n" for i in range(n))
    return f'start: r0\n{made}r{n}: "c"\n'


def test_a_rule_that_goes_on_with_the_next():
    grammar = dc.grammar(rules('"a" r{j} | "b"'))
    assert grammar.depth() is None
    assert grammar.dfa().accepts("aaab") and grammar.dfa().accepts("a" * N + "c")
    assert not grammar.dfa().accepts("a" * (N + 1) + "b")


def test_rules_in_brackets_one_inside_the_other():
    grammar = dc.grammar(rules('"(" r{j} ")" | "b"'))
    assert grammar.depth() is None
    assert grammar.dfa().accepts("(" * N + "c" + ")" * N)
    assert not grammar.dfa().accepts("(" * 7 + "b" + ")" * 6)


def test_alternatives():
    grammar = dc.grammar("start: " + " | ".join(f'"k{i}" "x"' for i in range(N)))
    assert grammar.matches("k4999x") and grammar.dfa().accepts("k4999x") and not grammar.dfa().accepts("k5000x")


def test_a_ring_of_rules():
    grammar = dc.grammar(rules('"a" r{j} | "b"').replace(f'r{N}: "c"', f"r{N}: r0"))
    assert grammar.depth() is None and grammar.dfa().accepts("a" * (2 * N) + "b")


def test_templates():
    uses = " | ".join(f't{{"a{i}"}}' for i in range(900))
    grammar = dc.grammar(f'start: {uses}\nt{{x}}: "(" x ")" | "[" t{{x}} "]"')
    assert grammar.matches("[(a899)]") and grammar.dfa().accepts("[(a899)]") and not grammar.matches("[(a900)]")


LIMITED = {
    "each may call every other": (
        rules('"(" r{j} ")" r{j} | "b"').replace(f'r{N}: "c"', f"r{N}: r0"),
        "forgetting the stack of a grammar",
    ),
    "parts that may all be left out": (
        "start: " + " ".join(f'"a{i}"?' for i in range(N)),
        "LR automaton of this grammar is too large",
    ),
    "as many statements inside statements": (
        "start: s+\ns: " + " | ".join(f'"k{i}" "(" (s | "x") ")"' for i in range(N)),
        "LR automaton of this grammar is too large",
    ),
    "texts of exponential length": (
        rules("r{j} r{j}"),
        "forgetting the stack of a grammar",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LIMITED)
def test_what_is_too_large_ends_in_one_line(kind):
    text, why = LIMITED[kind]
    with pytest.raises(LimitExceeded, match=why) as raised:
        dc.grammar(text).language()
    assert "\n" not in str(raised.value) and "leave out rules" in str(raised.value)

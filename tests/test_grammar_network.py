"""Networks of grammars against the recogniser, which has neither procedures nor stacks."""

import itertools
import random

import numpy as np
import pytest

import dgemma_constrain as dc
from dgemma_constrain.automata.pushdown import PLACE, POP, PUSH, TEXT, Network, merged
from dgemma_constrain.constraints.grammar import read
from dgemma_constrain.constraints.grammar.network import network
from dgemma_constrain.constraints.grammar.recognise import matches
from tests.grammar_cases import LARK
from tests.grammar_texts import Sentences
from tests.test_grammar_recognise import random_grammar

BUNDLED = ["json", "arithmetic", "filter", "tool_call", "smiles"]


def runs(net: Network, text: str) -> int:
    """How many runs of a network read a text."""

    def settled(node: int, stack: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
        kind = net.kind[node]
        if kind in (PLACE, TEXT):
            return [(node, stack)]
        if kind == PUSH:
            frame, onward = net.push[node]
            return settled(onward, (*stack, frame))
        assert kind == POP and stack
        return [c for n in net.pops.get(node, {}).get(stack[-1], ()) for c in settled(n, stack[:-1])]

    here = [(0, ())]
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32)
    for c in [*net.alphabet.of(points).tolist(), net.alphabet.size]:
        here = [x for node, stack in here for n in net.steps[node].get(c, ()) for x in settled(n, stack)]
    return sum(net.kind[node] == TEXT and not stack for node, stack in here)


@pytest.mark.parametrize("name", [*(n for n in LARK if n != "expressions"), *BUNDLED])
def test_sentences_and_mutations(name):
    grammar = dc.grammar(name).grammar if name in BUNDLED else read(LARK[name][0])
    whole = network(grammar)
    small = merged(whole)
    assert len(small.kind) <= len(whole.kind) and small.frames <= whole.frames
    source, inside = Sentences(grammar, 5), 0
    for _ in range(60):
        sentence = source.text()
        for text in (sentence, source.mutated(sentence), source.mutated(sentence)):
            fits = matches(grammar, text)
            inside += fits
            assert (runs(small, text) > 0) == (runs(whole, text) > 0) == fits, text
            assert runs(small, text) <= 1 or not small.unambiguous
    assert inside > 10


@pytest.mark.parametrize("scannerless", [False, True])
def test_small_grammars_by_brute_force(scannerless):
    """Left-recursive, nullable, ambiguous, cyclic ones among them."""
    rng, compared, single = random.Random(7), 0, 0
    for _ in range(80):
        grammar = random_grammar(rng, scannerless)
        found = network(grammar)
        if found is None:  # no text but the empty one
            continue
        compared += 1
        single += found.unambiguous
        found = merged(found)
        for text in map("".join, itertools.chain.from_iterable(itertools.product("ab", repeat=n) for n in range(6))):
            ways = runs(found, text)
            assert (ways > 0) == matches(grammar, text), (grammar, text)
            assert ways <= 1 or not found.unambiguous
    assert compared > 50 and single > 5


def test_what_is_too_large_says_so():
    with pytest.raises(dc.LimitExceeded, match="network needs more than 1,500 states"):
        network(read(LARK["expressions"][0]))


def test_deep_nesting():
    found = merged(network(dc.grammar("json").grammar))
    assert found.unambiguous and runs(found, '[{"a":' * 200 + "1" + "}]" * 200) == 1
    assert runs(found, '[{"a":' * 200 + "1" + "}]" * 199 + "]}") == 0


def test_terminals_that_depend_on_what_is_in_question_need_one_reading():
    """Two ways to go on, and terminals that begin alike: what is in question isn't known exactly."""
    assert network(read('start: x | y\nx: "(" x ")" | "a"\ny: "(" y "]" | "ab"')) is None
    assert network(read('start: x | y\nx: "(" x ")" | "a"\ny: "(" y "]" | "b"')) is not None

"""The automaton of a grammar against the recogniser, which works on no automaton."""

import itertools
import random

import pytest

from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.constraints.grammar import read
from dgemma_constrain.constraints.grammar.recognise import matches
from dgemma_constrain.constraints.grammar.unfold import Unfolded
from dgemma_constrain.errors import LimitExceeded
from tests.grammar_cases import LARK
from tests.grammar_texts import Sentences
from tests.test_grammar_recognise import random_grammar

SHORT = ["".join(w) for n in range(6) for w in itertools.product("ab", repeat=n)]


@pytest.mark.parametrize("scannerless", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_small_grammars_by_brute_force(scannerless, seed):
    """Left-recursive, nullable, ambiguous, cyclic ones among them; what is nested at least reads a character a level."""
    rng = random.Random(seed)
    whole = 0
    for _ in range(50):
        grammar = random_grammar(rng, scannerless)
        shallow, deep = Unfolded(grammar, 1, Limits()), None
        try:
            deep = Unfolded(grammar, 6, Limits(states=20_000, seconds=2))
            whole += 1
        except LimitExceeded:  # wild recursion: this one only from both sides
            pass
        for text in SHORT:
            fits = matches(grammar, text)
            assert deep is None or deep.dfa.accepts(text) == fits, (grammar, text)
            assert shallow.dfa.accepts(text) <= fits <= shallow.wider.accepts(text), (grammar, text)
    assert whole > 35


@pytest.mark.parametrize("name", LARK)
def test_sentences_and_mutations(name):
    grammar = read(LARK[name][0])
    unfolded = Unfolded(grammar, None, Limits())
    source = Sentences(grammar, 5)
    inside = 0
    for _ in range(150):
        sentence = source.text()
        for text in (sentence, source.mutated(sentence), source.mutated(sentence)):
            fits, known = matches(grammar, text), unfolded.dfa.accepts(text)
            inside += fits
            if unfolded.depth is None:
                assert known == fits, text
            else:
                assert known <= fits <= unfolded.wider.accepts(text), text
    assert inside > 30

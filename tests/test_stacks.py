"""Sets of stacks: what follows them is what follows in Earley's sets; what completing them costs, by brute force."""

import itertools
import random

import numpy as np
import pytest
from grammar_cases import LARK
from grammar_texts import Sentences
from test_grammar_recognise import random_grammar
from test_lr_tables import earley_followers, mutated, tables_of, useful

from dgemma_constrain.automata.lr_tables import lr_tables
from dgemma_constrain.automata.stacks import FAR, StackMachine
from dgemma_constrain.constraints.grammar import bundled, read
from dgemma_constrain.errors import LimitExceeded


def machine_of(grammar):
    return StackMachine(tables_of(grammar), np.ones(len(grammar.terminals), np.int32))


def check(machine, grammar, sentence):
    """Every set's followers, and what `advance` says of each terminal."""
    here = machine.start
    for terminal, wanted in itertools.zip_longest(sentence, earley_followers(grammar, sentence)):
        if wanted is None:
            break
        assert machine.followers(here) == wanted, (grammar.rules, sentence)
        for t in range(len(grammar.terminals) + 1):
            assert (machine.advance(here, t) >= 0) == (t in wanted)
        if terminal is not None:
            here = machine.advance(here, terminal)
    assert here == -1 or machine.fewest(here) >= 0


def test_random_grammars():
    rng = random.Random(13)
    for _ in range(200):
        grammar = random_grammar(rng, False)
        machine = machine_of(grammar)
        for sentence in itertools.chain.from_iterable(itertools.product([0, 1], repeat=n) for n in range(6)):
            check(machine, grammar, sentence)


@pytest.mark.parametrize("name", [*LARK, *bundled()])
def test_real_grammars(name):
    grammar = read(LARK[name][0] if name in LARK else name)
    machine = machine_of(grammar)
    source = Sentences(grammar, 5)
    for _ in range(6):
        tokens = source.tokens(9)[:80]
        if name not in ("ambiguous", "nullable") or len(tokens) < 10:
            check(machine, grammar, tokens)
            check(machine, grammar, mutated(tokens, len(grammar.terminals), source.random))


def test_fewest_is_exact():
    """By breadth-first search over sets."""
    rng = random.Random(17)
    for _ in range(150):
        grammar = random_grammar(rng, False)
        cost = np.array([rng.randint(1, 3), rng.randint(1, 3)], np.int32)
        machine = StackMachine(tables_of(grammar), cost)
        exists = grammar.start in {rule.head for rule in useful(grammar)}
        assert exists == (machine.fewest(machine.start) < FAR)
        met = {machine.start: ()}
        for _ in range(5):
            for here in list(met):
                for t in range(2):
                    met.setdefault(machine.advance(here, t), (*met[here], t))
            met.pop(-1, None)
        for here in met if exists else ():
            found, done = cheapest(machine, here, cost)
            claimed = machine.fewest(here)
            assert claimed == found if done else claimed <= found, (grammar.rules, met[here])


def cheapest(machine, here, cost):
    """The cheapest completion by seven terminals or fewer, and whether there can be no cheaper one."""
    best, layer, found = {here: 0}, {here}, FAR
    for _ in range(8):
        found = min([found, *(best[s] for s in layer if machine.advance(s, 2) >= 0)])
        after = set()
        for s, t in itertools.product(layer, range(2)):
            try:
                target, total = machine.advance(s, t), best[s] + int(cost[t])
            except LimitExceeded:
                return found, False
            if target >= 0 and total < min(found, best.get(target, FAR)):
                best[target] = total
                after.add(target)
        layer = after
        if len(layer) > 60:
            break
    return found, not layer


def test_deep_stacks():
    """20,000 brackets; stacks share what is below, and pools grow."""
    machine = StackMachine(lr_tables([(0, (0, ~0, 1)), (0, (2,))], 3, 1, 0), np.ones(3, np.int32))
    here = machine.start
    for _ in range(20_000):
        here = machine.advance(here, 0)
    assert machine.fewest(here) == 20_001
    here = machine.advance(here, 2)
    for _ in range(20_000):
        assert machine.followers(here) == {1}
        here = machine.advance(here, 1)
    assert machine.followers(here) == {3} and machine.fewest(here) == 0


def test_equal_sets_are_one():
    """A left-recursive list has one stack however long it is; a right-recursive one grows."""
    left = StackMachine(lr_tables([(0, (~0, 0)), (0, (0,))], 1, 1, 0), np.ones(1, np.int32))
    many = left.advance(left.advance(left.start, 0), 0)
    assert left.advance(many, 0) == many


def test_too_many_readings():
    """Every word doubles the stacks."""
    rules = [(0, (~1, ~0)), (0, (~2, ~0)), (0, (1,)), (1, (0,)), (2, (0,))]
    machine = StackMachine(lr_tables(rules, 2, 3, 0), np.ones(2, np.int32))
    with pytest.raises(LimitExceeded, match="readings"):
        here = machine.start
        for _ in range(20):
            here = machine.advance(here, 0)

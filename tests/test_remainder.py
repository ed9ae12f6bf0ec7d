"""What it costs a stack to read what is left: by Dijkstra's algorithm over sets of stacks."""

import heapq
import random

import numpy as np
import pytest
from test_grammar_recognise import random_grammar
from test_lr_tables import useful

from dgemma_constrain.automata.interning import FULL, roomier
from dgemma_constrain.automata.lr_tables import lr_tables
from dgemma_constrain.automata.remainder import NO, derive, rules_of
from dgemma_constrain.automata.stacks import StackMachine
from dgemma_constrain.canvas.guide import _no_stacks, _of_stacks
from dgemma_constrain.errors import LimitExceeded

IGNORED, END = 2, 3  # terminals; a and b are 0 and 1


def random_arcs(rng: random.Random, places: int, loops: bool, any_more: bool) -> list[tuple[int, int, int, int]]:
    """Source, terminal, target and cost; the last place is behind the end."""
    last = places - 1 if any_more else places - 2  # where a terminal of the text may end
    arcs = set()
    for a in range(places - 1):
        for _ in range(rng.randint(1, 4)):
            if a < last:
                b = rng.randint(a if loops and rng.random() < 0.4 else a + 1, last)
                arcs.add((a, rng.choice([0, 0, 1, 1, IGNORED]), b, rng.choice([0, 0, 1, 2])))
        if not any_more and (a == last or rng.random() < 0.3):
            arcs.add((a, END, places - 1, 0))
    return sorted(arcs)


def cheapest(machine, here: int, place: int, arcs, last: int, any_more: bool) -> tuple[int, bool]:
    """The least cost, NO if there is none, and whether that is sure: of many sets only the first are looked at."""
    heap, done = [(0, place, here)], set()
    while heap:
        cost, at, stacks = heapq.heappop(heap)
        if at == last:
            return cost, True
        if (at, stacks) in done:
            continue
        done.add((at, stacks))
        if len(done) > 150:
            return NO, False
        for a, t, b, more in arcs:
            if a == at:
                onto = stacks if t == IGNORED else machine.advance(stacks, t)
                if onto >= 0 or (t == END and onto != -1):
                    heapq.heappush(heap, (cost + more, b, onto))
    return NO, True


def claimed(machine, remainder, here: int, place: int) -> int:
    while (cost := _of_stacks(remainder, machine.stacks, np.int64(here), np.int64(0), np.int64(place))) == FULL:
        machine.stacks = machine.stacks._replace(heap=roomier(machine.stacks.heap))
    assert cost >= 0
    return cost


@pytest.mark.parametrize("any_more", [False, True])
@pytest.mark.parametrize("loops", [False, True])
def test_the_least_cost_by_brute_force(loops, any_more):
    rng = random.Random(31)
    sure = possible = 0
    for _ in range(150):
        grammar = random_grammar(rng, False)
        rules = [(rule.head, rule.body) for rule in useful(grammar)]
        if grammar.start not in {head for head, _ in rules}:
            continue
        tables = lr_tables(rules, END, len(grammar.nonterminals), grammar.start)
        machine = StackMachine(tables, np.ones(END, np.int32))
        places = rng.randint(2, 6)
        arcs = random_arcs(rng, places, loops, any_more)
        rest, read = derive(
            rules_of(tables), np.array(arcs, np.int32).reshape(-1, 4), np.arange(END) == IGNORED, np.int64(END),
            np.int64(places), any_more,
        )  # fmt: skip
        remainder = _no_stacks(rest, read, any_more, -1, np.zeros((0, places), np.uint8))
        here = machine.start
        try:
            for _ in range(4):
                for place in range(places - 1):
                    found, known = cheapest(machine, here, place, arcs, places - 1, any_more)
                    cost = claimed(machine, remainder, here, place)
                    assert cost == found if known else cost <= found, (rules, arcs, place, cost, found)
                    sure += known
                    possible += known and found != NO
                onward = [onto for t in (0, 1) if (onto := machine.advance(here, t)) >= 0]
                if not onward:
                    break
                here = rng.choice(onward)
        except LimitExceeded:
            continue
    assert sure > 300 and possible > 100, (sure, possible)

"""The SQL grammar that ships: how many queries of real files parse, and holes in them filled.

The files lie in the wheel of ibis-framework: TPC-H and TPC-DS, two decision-support benchmarks, as written for DuckDB; and short
queries that its tests expect.
"""

import random
from collections import Counter
from itertools import islice
from statistics import mean

import pytest
import torch
from grammar_texts import accepts
from test_searched_canvas import hidden_subset

import dgemma_constrain as dc
from benchmarks.unknown import queries
from benchmarks.vocabularies import generated_vocabulary

TPC_H, TPC_DS, SHORT = "tpc/queries/duckdb/h", "tpc/queries/duckdb/ds", "sql/snapshots"


@pytest.fixture(autouse=True)
def installed():
    if not queries(TPC_H):
        pytest.skip("the queries come with ibis-framework, which is not installed; it is in the test extra")


def share(folder: str) -> float:
    return mean(accepts("sql", text) for text in queries(folder))


def test_real_queries():
    """What is missing: semi joins, shifts, AND without blanks, some more types and functions with a syntax of their own."""
    assert len(queries(TPC_H)) > 20 and share(TPC_H) > 0.9
    assert len(queries(TPC_DS)) > 90 and share(TPC_DS) > 0.85
    assert len(queries(SHORT)) > 100 and share(SHORT) > 0.75


def fill_holes(folders: list[str], texts: int, longest: int) -> Counter:
    """Some tokens hidden, among 64 in a row, of real queries: all are allowed, and to Lark what comes out is a query."""
    vocabulary = generated_vocabulary()
    compiled = dc.compile(dc.grammar("sql"), vocabulary)
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    sources = [text for folder in folders for text in queries(folder) if accepts("sql", text)]
    rng.shuffle(sources)
    encoded = (vocabulary.encode(text) for text in sources)
    tally = Counter()
    for ids in islice((ids for ids in encoded if len(ids) <= longest), texts):
        ids += [vocabulary.eos_ids[0]] * (64 - len(ids))
        for kind in (0.1, 0.5, 0.9, "hole"):
            first = rng.randrange(len(ids) - 63)
            hidden = {first + i for i in hidden_subset(rng, kind, 64)}
            canvas = compiled.canvas(len(ids), {i: t for i, t in enumerate(ids) if i not in hidden})
            allowed = canvas.allowed()
            assert all(allowed[i, ids[i]] for i in hidden)
            tally["all"] += 1
            try:
                best = canvas.best(3 * torch.randn(len(ids), len(vocabulary), generator=generator))
            except dc.Infeasible:
                assert canvas.feasible is None
                tally["unknown"] += 1
                continue
            assert all(best.ids[i] == t for i, t in canvas.pinned.items())
            assert accepts("sql", vocabulary.decode(best.ids[: vocabulary.text_length(best.ids)]))
    print(dict(tally))
    return tally


def test_holes_in_real_queries():
    assert fill_holes([SHORT], 4, 64)["unknown"] <= 2


@pytest.mark.slow
def test_holes_in_more_real_queries():
    tally = fill_holes([SHORT], 15, 64)
    assert tally["unknown"] <= 0.02 * tally["all"]


@pytest.mark.slow
def test_holes_in_long_queries():
    """Where all before and behind is given, a search more often ends without an answer."""
    tally = fill_holes([TPC_H, TPC_DS], 2, 400)
    assert tally["unknown"] <= 0.5 * tally["all"]

"""Grammars on a canvas of exactly L tokens: against enumeration on small vocabularies, and on 262,144 ids against Lark."""

import itertools
import random

import lark
import pytest
import torch
from grammar_texts import Sentences
from test_grammar_recognise import random_grammar

import dgemma_constrain as dc
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.constraints.grammar import bundled
from dgemma_constrain.constraints.grammar.constraint import Grammar

NESTED = 'start: e\ne: "(" e ")" | "x"'
TOKENS = [b"a", b"b", b"ab", b"bba", None]
UNFOLDING = [
    "arithmetic", "cron", "csv", "filter", "graphql", "iso8601", "json", "jsonl", "markdown_table", "semver",
    "smiles", "tool_call", "uri",
]  # fmt: skip


def test_a_canvas_knows_which_lengths_there_are():
    vocabulary = dc.Vocabulary([b"(", b")", b"x"])
    compiled = dc.compile(dc.grammar(NESTED), vocabulary)
    assert [compiled.canvas(n).feasible for n in range(1, 60)] == [n % 2 == 1 for n in range(1, 60)]


def test_what_is_nested_too_deeply_is_unknown_not_infeasible():
    vocabulary = dc.Vocabulary([b"(", b")", b"x"])
    compiled = dc.compile(dc.grammar(NESTED, max_depth=2), vocabulary)
    assert compiled.canvas(5).feasible is True  # ((x))
    assert compiled.canvas(4).feasible is False
    assert compiled.canvas(9).feasible is None  # ((((x))))
    assert compiled.canvas(9, {0: 1}).feasible is False  # nothing begins with a closing bracket
    with pytest.raises(dc.Infeasible, match="no more than 2 deep.*max_depth"):
        compiled.canvas(9).best(torch.zeros(9, 3))


def test_a_loaded_file_still_knows_that_it_is_not_exact(tmp_path):
    vocabulary = dc.Vocabulary([b"(", b")", b"x"])
    dc.compile(dc.grammar(NESTED, max_depth=2), vocabulary).save(tmp_path / "nested")
    dc.compile(dc.literal("x"), vocabulary).save(tmp_path / "exact")
    assert dc.load_compiled(tmp_path / "nested", vocabulary).canvas(9).feasible is None
    assert dc.load_compiled(tmp_path / "exact", vocabulary).canvas(9).feasible is False


def test_grammars_combine_with_other_constraints():
    vocabulary = dc.Vocabulary([b"(", b")", b"x", b"<", b">"])
    nested = dc.grammar(NESTED)
    both = nested & dc.regex(r"\(\(.*")
    assert both.matches("((x))") and not both.matches("(x)") and both.matches("(" * 90 + "x" + ")" * 90)
    assert both.depth() == nested.depth() and dc.regex("a").depth() is None
    template = dc.template("<{inside}>", inside=nested)
    compiled = dc.compile(template, vocabulary)
    assert [compiled.canvas(n).feasible for n in range(2, 8)] == [False, True, False, True, False, True]
    shallow = dc.compile(dc.template("<{inside}>", inside=dc.grammar(NESTED, max_depth=1)), vocabulary)
    assert [shallow.canvas(n).feasible for n in range(2, 10)] == [False, True, False, True, None, None, None, None]
    with pytest.raises(dc.ConstraintError, match="unbounded nesting"):
        (~nested).dfa()
    assert not (~dc.grammar("semver")).matches("1.2.3")


@pytest.mark.parametrize("seed", range(6))
def test_every_string_of_tokens_by_brute_force(seed):
    """Recursive, ambiguous, nullable, left-recursive grammars; tokens that hold several terminals; pins."""
    rng, vocabulary = random.Random(seed), dc.Vocabulary(TOKENS, eos_id=4)
    compared = 0
    for _ in range(40):
        grammar = random_grammar(rng, seed % 2 == 1)
        constraint = Grammar(grammar, 12)
        length = rng.randint(1, 4)
        try:
            constraint.dfa(dc.Limits(states=20_000, seconds=2))
        except dc.LimitExceeded:
            continue
        if constraint.dfa().is_empty:
            continue
        compared += 1
        pinned = {i: rng.randrange(5) for i in range(length) if rng.random() < 0.2}
        valid = [ids for ids in itertools.product(range(5), repeat=length) if is_valid(constraint, ids, pinned)]
        canvas = dc.compile(constraint, vocabulary, cache=False).canvas(length, pinned)
        assert bool(canvas.feasible) == bool(valid)
        mask = torch.zeros(length, 5, dtype=torch.bool)
        for ids in valid:
            mask[range(length), ids] = True
        assert torch.equal(canvas.allowed(), mask)
        if valid:
            logits = torch.randn(length, 5, generator=torch.Generator().manual_seed(seed))
            scores = logits.log_softmax(1)
            best = canvas.best(logits)
            assert tuple(best.ids) in valid
            assert best.score == pytest.approx(max(float(scores[range(length), ids].sum()) for ids in valid), abs=1e-4)
    assert compared > 20


def is_valid(constraint, ids, pinned) -> bool:
    if any(ids[i] != t for i, t in pinned.items()):
        return False
    end = ids.index(4) if 4 in ids else len(ids)
    text = b"".join(TOKENS[t] for t in ids[:end]).decode()
    return all(t == 4 for t in ids[end:]) and constraint.matches(text)


@pytest.fixture(scope="module")
def vocabulary():
    return generated_vocabulary()


@pytest.mark.slow
@pytest.mark.parametrize("name", UNFOLDING)
def test_bundled_grammars_on_a_real_vocabulary(name, vocabulary):
    """Texts of the grammar with random tokens hidden: each is allowed, and whatever fills the holes, Lark reads it."""
    constraint = dc.grammar(name)
    compiled = dc.compile(constraint, vocabulary, cache=False)
    parser = lark.Lark.open(str(bundled()[name]), parser="lalr")
    source, rng = Sentences(constraint.grammar, 1), random.Random(name)
    generator = torch.Generator().manual_seed(0)
    unknown = 0
    for trial in range(12):
        text = source.text(6)
        ids = vocabulary.encode(text)[:64]
        while not constraint.dfa().accepts(vocabulary.decode(ids)):
            text = source.text(6)
            ids = vocabulary.encode(text)[:64]
        length = len(ids) + rng.choice([0, 0, 3])
        ids = ids + [vocabulary.eos_ids[0]] * (length - len(ids))
        hidden = set(rng.sample(range(length), rng.randint(0, length)))
        canvas = compiled.canvas(length, {i: t for i, t in enumerate(ids) if i not in hidden})
        unknown += canvas.feasible is None
        allowed = canvas.allowed()
        assert all(allowed[i, t] for i, t in enumerate(ids)), text
        logits = 3 * torch.randn(length, len(vocabulary), generator=generator)
        for completion in (canvas.best(logits), canvas.sample(logits, 2.0, generator)):
            stop = next((i for i, t in enumerate(completion.ids) if t in vocabulary.eos_ids), length)
            written = vocabulary.decode(completion.ids[:stop])
            parser.parse(written)
            assert constraint.matches(written)
    assert unknown == 0

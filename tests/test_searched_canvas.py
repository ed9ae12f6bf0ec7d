"""Canvases that search: against enumeration on small vocabularies, and on texts of large grammars with holes."""

import itertools
import math
import random
from collections import Counter

import pytest
import torch
from brute_force import BruteForce
from grammar_texts import BundledTexts
from test_grammar_recognise import random_grammar
from test_lr_tables import useful

import dgemma_constrain as dc
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.automata.encodings import utf8
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.canvas import searched as searched_module
from dgemma_constrain.canvas.compiled import Compiled
from dgemma_constrain.canvas.searched import NARROW, WIDE, Searched
from dgemma_constrain.constraints.grammar.constraint import Grammar
from dgemma_constrain.constraints.grammar.rules import Grammar as Rules
from dgemma_constrain.tokens.lift import lift

NESTED = 'start: "(" start ")" | "x"'
# Grammars, and tokens that hold several terminals of them or parts of one.
SMALL = {
    "nested": (NESTED, ["(", ")", "x", "((", "))", "x)"]),
    "two kinds": ('start: ("(" start ")" | "[" start "]")*', ["(", ")", "[", "]", "()", ")]", "(["]),
    "counts": ('start: "a" start "b" | "ab"', ["a", "b", "ab", "aab", "abb"]),
    "palindromes": ('root ::= "a" root "a" | "b" root "b" | ""', ["a", "b", "ab", "ba", "aa"]),
    "names": ('start: "(" start ")" | NAME+\nNAME: /[ab]+/\n%ignore " "', ["(", ")", "a", " ", "ab", "a b", " ("]),
    "keywords": (
        'start: s+\ns: "if" NAME s "end" | NAME ";"\nNAME: /[a-z]+/\n%ignore " "',
        ["if", " ", "a", ";", "end", "a;", "if a", "f"],
    ),
    "operators": (
        'start: start OP start | "(" start ")" | "a"\nOP: "<" | "<=" | "<<" | "="\n%ignore " "',
        ["a", "<", "=", "<<", "(", ")", "a<", " "],
    ),
    "characters": ('start: "é" start "è" | "x" start? "ê"', [b"\xc3", b"\xa9", b"\xa8", "x", b"x\xc3", "é", b"\xaa"]),
}  # fmt: skip


def searched(constraint, vocabulary) -> Compiled:
    """Compiled as if it had no automaton of its own."""
    cover, machine = constraint.searched()
    return Compiled(lift(utf8(cover, Limits()), vocabulary, Limits()), vocabulary, constraint, machine=machine)


class Case(BruteForce):
    """A random problem and its solution by enumeration."""

    fewest = 4  # pieces, if there are so many

    def __init__(self, constraint, pieces, rng: random.Random):
        self.constraint, self.rng = constraint, rng
        pieces = [p if isinstance(p, bytes) else p.encode() for p in pieces]
        self.pieces = rng.sample(pieces, rng.randint(min(self.fewest, len(pieces)), len(pieces)))
        tokens = [*self.pieces, *rng.sample(self.pieces, rng.randint(0, 1)), *[None] * rng.randint(1, 3)]
        rng.shuffle(tokens)
        special = [i for i, t in enumerate(tokens) if t is None]
        self.tokens, self.eos = tokens, rng.sample(special, rng.randint(0, min(2, len(special))))
        self.pad = rng.choice([None, *special])
        self.vocabulary = dc.Vocabulary(tokens, eos_id=self.eos, pad_id=self.pad)
        self.length = rng.randint(0, int(math.log(4000, len(tokens))))
        self.more, self.tail = rng.choice([0, 0, 1, 2, 3]), rng.choice(["end", "any"])
        share = rng.choice([0.0, 0.0, 0.3])
        self.pinned = {i: rng.randrange(len(tokens)) for i in range(self.length) if rng.random() < share}
        self.generator = torch.Generator().manual_seed(rng.randrange(2**32))
        self.logits = rng.choice([1, 3, 60]) * torch.randn(self.length, len(tokens), generator=self.generator)
        if rng.random() < 0.3:
            forbidden = torch.rand(self.logits.shape, generator=self.generator) < 0.2
            self.logits[forbidden & (self.logits < self.logits.amax(1, keepdim=True))] = -torch.inf
        self.logp = self.logits.double().log_softmax(-1).numpy()
        self._left: dict[tuple[bytes, int], bool] = {}

    def can_end(self, text: bytes, more: int = 0) -> bool:
        if (text, more) not in self._left:
            known = text.decode("utf-8", "ignore")
            mismatch = self.constraint.explain(known)
            if mismatch is not None and mismatch.position < len(known):
                found = False
            else:
                found = mismatch is None and known.encode() == text
                found = found or (more > 0 and any(self.can_end(text + piece, more - 1) for piece in self.pieces))
            self._left[text, more] = found
        return self._left[text, more]

    def canvas(self) -> Searched:
        return searched(self.constraint, self.vocabulary).canvas(self.length, self.pinned, self.more, self.tail)


def cases(name: str, count: int):
    """Random cases of a small grammar, or of random ones; without those whose vocabulary spells no text at all."""
    rng = random.Random(name)
    constraint = dc.grammar(SMALL[name][0]) if name in SMALL else None
    for _ in range(count):
        if name in SMALL:
            case = Case(constraint, SMALL[name][1], rng)
        else:
            g = random_grammar(rng, name == "random, without a lexer")
            rules = Rules(g.terminals, g.nonterminals, tuple(useful(g)), (), 0, g.scannerless)
            case = Case(Grammar(rules, None), ["a", "b", *rng.sample(["ab", "ba", "aa", "bba", "aba"], 3)], rng)
        try:
            yield case, case.canvas(), case.solutions()
        except dc.EmptyConstraint:
            assert not case.solutions()


def answer(ask):
    """A completion, or None if there is none, with a reason in one line."""
    try:
        return ask()
    except dc.Infeasible as error:
        assert 10 < len(str(error)) < 200 and "\n" not in str(error)
        return None


# Against enumeration --------------------------------------------------------------------------------------------------


def compare(name: str, count: int, problems=cases, least: float = 0.4) -> None:
    """Every answer against all strings of exactly L tokens; what is unknown, and what isn't proved, is rare."""
    tally = Counter()
    for case, canvas, solutions in problems(name, count):
        tally["all"] += 1
        tally["feasible"] += bool(solutions)
        if canvas.feasible is None:
            tally["unknown"] += 1
            continue
        assert canvas.feasible == bool(solutions)

        mask = torch.zeros(case.length, len(case.tokens), dtype=torch.bool)
        for ids in solutions:
            mask[range(case.length), ids] = True
        assert not (mask & ~canvas.allowed()).any()

        top = max(solutions.values(), default=-math.inf)
        best = answer(lambda: canvas.best(case.logits))
        assert (best is None) == (top == -math.inf)
        if best is None:
            continue
        assert best.score == pytest.approx(solutions[tuple(best.ids)], rel=1e-5, abs=1e-4)
        assert best.score <= top + 1e-4 * max(1, abs(top))
        tally["best"] += 1
        tally["proved"] += best.proved
        equal = best.score == pytest.approx(top, rel=1e-5, abs=1e-4)
        tally["equal"] += equal
        assert equal or not best.proved

        temperature, seed = case.rng.choice([1.0, 0.7, 3.0]), case.rng.randrange(1000)
        samples = [
            c.sample(case.logits, temperature, torch.Generator().manual_seed(seed))
            for c in (case.canvas(), case.canvas())
        ]
        assert samples[0] == samples[1]
        assert samples[0].score > -math.inf
        assert samples[0].score == pytest.approx(solutions[tuple(samples[0].ids)], rel=1e-5, abs=1e-3)
    print(name, dict(tally))
    assert tally["feasible"] > least * tally["all"] and tally["all"] > 0.5 * count
    assert tally["unknown"] <= 1 + 0.02 * tally["all"]
    assert tally["proved"] > 0.7 * tally["best"] and tally["equal"] > 0.8 * tally["best"]


NAMES = [*SMALL, "random, with a lexer", "random, without a lexer"]


@pytest.mark.parametrize("name", NAMES)
def test_every_string_of_tokens_by_brute_force(name):
    """Tokens that hold several terminals, ends, pads, tails, budgets, pins, and logits with -inf."""
    compare(name, 40)


@pytest.mark.parametrize("name", NAMES)
def test_every_string_of_tokens_where_each_search_asks_what_can_still_be_read(name, monkeypatch):
    """What a guide drops leads nowhere: without one a small case is mostly solved before it is asked."""
    monkeypatch.setattr(searched_module, "BLIND", (NARROW, WIDE, WIDE))
    monkeypatch.setattr(searched_module, "SCORED", (NARROW, WIDE))
    compare(name, 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_string_of_tokens_of_many_cases(name):
    compare(name, 120)


def test_the_first_positions_of_a_canvas_by_brute_force():
    """What is found for them goes on to the end, with all pins; where it is proved to be the best, it is."""
    tally = Counter()
    for name in ("two kinds", "counts", "palindromes", "names"):
        for case, whole, solutions in cases(name, 25):
            size = case.rng.randint(0, case.length)
            head = whole.head(size)
            tally["all"] += 1
            if head.feasible is None:
                tally["unknown"] += 1
                continue
            assert head.feasible == bool(solutions)
            beginnings: dict[tuple, float] = {}
            read = [case.valid(ids) for ids in solutions]
            for ids, scored in zip(solutions, read):
                score = float(case.logp[range(min(size, scored)), ids[: min(size, scored)]].sum())
                beginnings[ids[:size]] = max(score, beginnings.get(ids[:size], -math.inf))
            top = max(beginnings.values(), default=-math.inf)
            logits = case.logits[:size]
            best = answer(lambda: head.best(logits))
            assert (best is None) == (top == -math.inf)
            if best is None:
                continue
            sample = head.sample(logits, 1.0, case.generator)
            assert not sample.exact
            for found in (best, sample):
                assert found.score == pytest.approx(beginnings[tuple(found.ids)], rel=1e-5, abs=1e-3)
                rest = head.with_pins(dict(enumerate(best.ids))).behind(best.ids)
                assert rest is None or (*best.ids, *rest)[: case.length] in solutions
            assert not best.proved or best.score == pytest.approx(top, rel=1e-5, abs=1e-3)
            tally["proved"] += best.proved
            mask = torch.zeros(size, len(case.tokens), dtype=torch.bool)
            for ids in beginnings:
                mask[range(size), ids] = True
            assert not (mask & ~head.allowed()).any()
    print(dict(tally))
    assert tally["unknown"] <= 2 and tally["proved"] > 20


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_samples_that_say_they_are_exact_are(temperature):
    """Against the true distribution, by enumeration: a chi-square test."""
    vocabulary = dc.Vocabulary([b"(", b")", b"x", b"((", b"x)", b"))", None], eos_id=6)
    constraint = dc.grammar(NESTED)
    canvas = searched(constraint, vocabulary).canvas(5)
    logits = 0.7 * torch.randn(5, 7, generator=torch.Generator().manual_seed(3))
    logp = (logits.double() / temperature).log_softmax(1)
    weight = {}
    for ids in itertools.product(range(7), repeat=5):
        stop = ids.index(6) if 6 in ids else 5
        if set(ids[stop:]) <= {6} and constraint.matches(vocabulary.decode(ids[:stop])):
            weight[ids] = math.exp(float(logp[range(5), ids].sum()))
    total = sum(weight.values())
    generator = torch.Generator().manual_seed(0)
    samples = [canvas.sample(logits, temperature, generator) for _ in range(1500)]
    exact = Counter(tuple(s.ids) for s in samples if s.exact)
    count = sum(exact.values())
    assert 0.25 * len(samples) < count < len(samples)
    assert exact.keys() <= weight.keys()
    likely = {ids: w for ids, w in weight.items() if count * w / total >= 5}
    rest = 1 - sum(likely.values()) / total
    statistic = sum((exact[ids] - count * w / total) ** 2 / (count * w / total) for ids, w in likely.items())
    others = count - sum(exact[ids] for ids in likely)
    statistic += (others - count * rest) ** 2 / max(count * rest, 1e-9)
    freedom = len(likely)
    assert freedom > 10 and statistic < freedom + 4 * math.sqrt(2 * freedom)


def test_a_text_that_need_not_end_on_the_canvas_is_not_sampled_exactly():
    canvas = searched(dc.grammar(NESTED), BRACKETS).canvas(5, more_tokens=3)
    assert not canvas.sample(random_logits(canvas)).exact


def test_two_ids_of_the_same_bytes_change_no_answer():
    vocabulary = dc.Vocabulary([b"(", b")", b"x", b"x", b"(", b")", b"x", b"x", b"x", b"x"])
    compiled = searched(dc.grammar(NESTED), vocabulary)
    assert [compiled.canvas(n).feasible for n in range(1, 9)] == [True, False] * 4
    completion = compiled.canvas(3, {0: 4}).best(torch.arange(10.0).repeat(3, 1))
    assert completion.ids == [4, 9, 5] and completion.proved


# One by one -----------------------------------------------------------------------------------------------------------

BRACKETS = dc.Vocabulary([b"(", b")", b"x", b"((", b"x)", None, None], eos_id=5, pad_id=6)
PLAIN = dc.Vocabulary([b"(", b")", b"x"])


def random_logits(canvas, seed: int = 0) -> torch.Tensor:
    size = len(canvas.compiled.vocabulary)
    return torch.randn(canvas.length, size, generator=torch.Generator().manual_seed(seed))


def test_nesting_has_no_bound():
    canvas = searched(dc.grammar(NESTED), PLAIN).canvas(401)
    assert canvas.feasible is True
    assert canvas.best(random_logits(canvas)).ids == [0] * 200 + [2] + [1] * 200
    assert searched(dc.grammar(NESTED), PLAIN).canvas(400).feasible is False


def test_the_reason_is_said_in_one_line():
    compiled = searched(dc.grammar(NESTED), PLAIN)
    for canvas, reason in [
        (compiled.canvas(4), "no text of this grammar fits the length and the pins"),
        (compiled.canvas(5, {1: 2}), "no text of this grammar fits"),
        (compiled.canvas(3, {0: 1}), r"position 0, pinned to id 1 \('\)'\), conflicts with the constraint"),
        (compiled.canvas(0), "at least 1 tokens are needed, but the canvas has 0"),
    ]:
        assert canvas.feasible is False
        logits = random_logits(canvas)
        for ask in (canvas.check, lambda: canvas.best(logits), lambda: canvas.sample(logits)):
            with pytest.raises(dc.Infeasible, match=reason) as error:
                ask()
            assert "\n" not in str(error.value)


def test_logits_that_forbid_everything_the_cover_lets_through():
    canvas = searched(dc.grammar(NESTED), PLAIN).canvas(3)
    logits = torch.zeros(3, 3)
    logits[1] = torch.tensor([0.0, -torch.inf, -torch.inf])
    logits[0, 0] = -torch.inf
    for ask in (canvas.best, canvas.sample):
        with pytest.raises(dc.Infeasible, match="probability zero"):
            ask(logits)


def test_the_empty_canvas():
    compiled = searched(dc.grammar('start: ("(" start ")")*'), PLAIN)
    assert compiled.canvas(0).feasible is True
    assert compiled.canvas(0).best(torch.zeros(0, 3)) == dc.Completion([], 0.0)
    assert compiled.canvas(0, more_tokens=1).feasible and compiled.canvas(1, more_tokens=1).feasible


def test_pins_are_kept():
    compiled = searched(dc.grammar(NESTED), BRACKETS)
    canvas = compiled.canvas(8, {2: 2})
    more = canvas.pin(0, 3)
    assert isinstance(more, Searched)
    assert canvas.pinned == {2: 2} and more.pinned == {0: 3, 2: 2}
    assert more.with_pins({1: 0}).pinned == {1: 0}
    for seed in range(20):
        ids = more.best(random_logits(more, seed)).ids
        assert (ids[0], ids[2]) == (3, 2)
        assert more.with_pins({1: 4}).sample(random_logits(more, seed)).ids[1] == 4
    again = more.pin(2, 0)
    assert again.pinned == {0: 3, 2: 0} and again.best(random_logits(again)).ids[2] == 0
    with pytest.raises(dc.ConstraintError, match="position must be a whole number from 0 to 7"):
        canvas.pin(8, 0)


def test_a_text_that_was_found_stays_the_answer_where_pins_agree(monkeypatch):
    compiled = searched(dc.grammar(NESTED), BRACKETS)
    canvas = compiled.canvas(9)
    ids = canvas.best(random_logits(canvas)).ids
    monkeypatch.setattr(Searched, "_search", lambda *arguments: pytest.fail("searched again"))
    assert canvas.feasible is True
    pinned = canvas.with_pins(dict(enumerate(ids[:5])))
    assert pinned.feasible is True and pinned.pin(8, ids[8]).feasible is True
    monkeypatch.undo()
    assert pinned.pin(8, 2).feasible is False


def test_the_best_string_of_the_cover_is_the_answer_where_it_is_a_text(monkeypatch):
    """Then nothing is searched, and it is proved; elsewhere it is not taken."""
    compiled = searched(dc.grammar(NESTED), PLAIN)
    logits = torch.tensor([[2.0, 0, 0], [0, 0, 2.0], [0, 2.0, 0]])
    odd = torch.tensor([[2.0, 0, 0], [2.0, 0, 0], [0, 0, 9.0], [0, 2.0, 0], [0, 0, 0]])
    assert compiled.canvas(5, {4: 1}).best(odd).ids == [0, 0, 2, 1, 1]
    monkeypatch.setattr(Searched, "_beam", lambda *arguments: pytest.fail("searched"))
    best = compiled.canvas(3).best(logits)
    assert best.ids == [0, 2, 1] and best.proved
    assert best.score == pytest.approx(float(logits.log_softmax(1).amax(1).sum()))


def test_a_found_text_ends_as_the_tail_says():
    """Whatever the vocabulary has to fill it with."""
    for pad in (None, 4):
        vocabulary = dc.Vocabulary([b"(", b")", b"x", None, None], eos_id=3, pad_id=pad)
        compiled = searched(dc.grammar(NESTED), vocabulary)
        for length in range(1, 9):
            canvas = compiled.canvas(length, {0: 2})
            assert canvas.feasible is True
            assert canvas.with_pins({0: 2, 1: 0} if length > 1 else {0: 1}).feasible is False
            if length > 2:
                assert canvas.pin(2, 0).feasible is False and canvas.pin(2, 3).feasible is True


def test_a_text_goes_on_over_several_canvases():
    constraint = dc.grammar(NESTED)
    compiled = searched(constraint, PLAIN)
    first = (
        compiled.canvas(6, {5: 0}).with_pins({}).compiled.canvas(6, {5: 0}, more_tokens=7).best(torch.zeros(6, 3)).ids
    )
    assert first == [0] * 6
    second = compiled.canvas(4, {0: 2}, more_tokens=3, after=first).best(torch.zeros(4, 3)).ids
    third = compiled.canvas(3, after=first + second).pin(0, 1).best(torch.zeros(3, 3)).ids
    assert constraint.matches(PLAIN.decode(first + second + third))
    for length in (2, 4):
        assert compiled.canvas(length, after=first + second).feasible is False


def test_others_are_put_into_the_cover():
    """Of `&` one side is searched, the other is an automaton. Of two grammars none is."""
    constraint = dc.grammar(NESTED) & dc.regex(r"\(\(+x.*")
    compiled = searched(constraint, PLAIN)
    assert [compiled.canvas(n).feasible for n in range(10)] == [n in (5, 7, 9) for n in range(10)]
    canvas = compiled.canvas(21)
    for seed in range(5):
        assert constraint.matches(PLAIN.decode(canvas.best(random_logits(canvas, seed)).ids))
    with pytest.raises(dc.ConstraintError, match="both nest without bound"):
        (dc.grammar(NESTED) & dc.grammar(NESTED)).searched()
    assert dc.grammar(NESTED, max_depth=3).searched() is None


def test_the_logits_may_be_of_any_dtype():
    canvas = searched(dc.grammar(NESTED), BRACKETS).canvas(9)
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        logits = random_logits(canvas).to(dtype)
        assert canvas.best(logits).score == pytest.approx(canvas.best(logits.float()).score, abs=1e-5)
    for logits, reason in [(torch.zeros(9, 6), "shape"), (torch.full((9, 7), torch.nan), "NaN")]:
        for ask in (canvas.best, canvas.sample):
            with pytest.raises(dc.LogitsError, match=reason):
                ask(logits)


# Grammars whose unfolding is too large --------------------------------------------------------------------------------

LARGE = ["sql", "python_expression", "python_function", "c_body"]


def hidden_subset(rng: random.Random, share, length: int) -> set[int]:
    if share == "hole":
        size = rng.randint(1, length // 2)
        first = rng.randrange(length - size + 1)
        return {*range(first, first + size)}
    return {*rng.sample(range(length), round(share * length))}


def fill_holes(name: str, vocabulary, texts: int, length: int = 64) -> Counter:
    """Random texts with some of their tokens hidden: what fills the holes is a text of the grammar."""
    constraint = dc.grammar(name)
    compiled = dc.compile(constraint, vocabulary, cache=False)
    assert compiled.machine is not None
    rng, generator = random.Random(name), torch.Generator().manual_seed(0)
    source = (t for _ in itertools.count() for t in BundledTexts(name, rng.randrange(1000)).accepted(5))
    fitting = (ids for t in source if constraint.matches(t) and 12 <= len(ids := vocabulary.encode(t)) <= length)
    tally = Counter()
    for ids in itertools.islice(fitting, texts):
        ids += [vocabulary.eos_ids[0]] * (length - len(ids))
        for share in (0.1, 0.5, 0.9, "hole"):
            hidden = hidden_subset(rng, share, length)
            canvas = compiled.canvas(length, {i: t for i, t in enumerate(ids) if i not in hidden})
            allowed = canvas.allowed()
            assert all(allowed[i, t] for i, t in enumerate(ids))
            assert canvas.feasible is not False
            tally["all"] += 1
            if canvas.feasible is None:
                tally["unknown"] += 1
                continue
            logits = 3 * torch.randn(length, len(vocabulary), generator=generator)
            best = canvas.best(logits)
            stop = next((i for i, t in enumerate(best.ids) if t in vocabulary.eos_ids), length)
            assert constraint.matches(vocabulary.decode(best.ids[:stop]))
            assert all(t in (*vocabulary.eos_ids, vocabulary.pad_id) for t in best.ids[stop:])
            assert all(best.ids[i] == t for i, t in canvas.pinned.items())
            assert best.score == pytest.approx(float(logits.log_softmax(1)[range(length), best.ids].sum()), abs=1e-2)
            tally["proved"] += best.proved
    print(name, dict(tally))
    return tally


def test_what_is_too_large_is_searched():
    tally = fill_holes("sql", generated_vocabulary(4096), 3, 120)
    assert tally["unknown"] <= 2


@pytest.mark.slow
def test_holes_in_texts_of_large_grammars():
    vocabulary = generated_vocabulary()
    tally = sum((fill_holes(name, vocabulary, 8) for name in LARGE), Counter())
    print(dict(tally))
    assert tally["unknown"] < 0.05 * tally["all"]


def test_the_space_that_a_text_does_not_begin_with_is_read_over():
    """SentencePiece: the first token brings a space that is no part of the text."""
    vocabulary = dc.Vocabulary([b" x", b"x", b" ", b"(", b" (", b")", None], eos_id=6, strips_leading_space=True)
    constraint = dc.grammar(NESTED)
    compiled = searched(constraint, vocabulary)
    for length, pinned in itertools.product(range(1, 6), [{}, {0: 4}, {0: 0}, {0: 2}, {1: 0}]):
        if all(i < length for i in pinned):
            valid = [
                ids
                for ids in itertools.product(range(7), repeat=length)
                if all(ids[i] == t for i, t in pinned.items())
                and constraint.matches(vocabulary.decode(ids[: vocabulary.text_length(ids)]))
                and set(ids[vocabulary.text_length(ids) :]) <= {6}
            ]
            canvas = compiled.canvas(length, pinned)
            assert canvas.feasible == bool(valid)
            if valid:
                assert tuple(canvas.best(torch.randn(length, 7)).ids) in valid


def test_ids_that_the_cover_reads_but_the_grammar_does_not_are_refused():
    compiled = searched(dc.grammar(NESTED), dc.Vocabulary([b"(", b")", b"x"]))
    with pytest.raises(dc.ConstraintError, match="no beginning of a text"):
        compiled.canvas(2, after=[2, 1])

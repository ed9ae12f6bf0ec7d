"""Grammars that are searched as parts of other constraints: against every way to cut a text, and against enumeration."""

import functools
import itertools
import pickle
import random

import pytest
import torch
from grammar_texts import BundledTexts, accepts
from test_searched_canvas import NESTED, Case, compare

import dgemma_constrain as dc
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.constraints.base import And, Concat, Constraint, Literal, Or, Repeat
from dgemma_constrain.constraints.template import Template

X = dc.grammar(NESTED)
PAIRS = dc.grammar('start: ("(" start ")" | "[" start "]")*')  # nullable
NAMES = dc.grammar('start: "(" start ")" | NAME+\nNAME: /[ab]+/\n%ignore " "')
MIRROR = dc.grammar('root ::= "a" root "a" | "b" root "b" | "c"')  # no lexer
# Keywords beat names, and longest matches: what follows a part must not change how it is cut.
WORDS = dc.grammar('start: "if" start "a" | NAME\nNAME: /[a-f]+/')
OTHERS = dc.grammar('start: "<" start ">" | "<<" | "x"\n')

COMPOSED = {
    "template": (dc.template("a{code}a", code=X), ["a", "(", ")", "x", "a(", ")a", "x)"]),
    "two holes": (dc.template("{p}x{q}", p=PAIRS, q=X), ["(", ")", "x", "[]", "xx", ")x("]),
    "joints": (dc.template("{n}a{m}", n=NAMES, m=NAMES), ["a", "b", "(", ")", " ", "aa", "a("]),
    "keywords": (WORDS + dc.choice(["f", "a", "af"]), ["if", "a", "f", "i", "fa", "ifa"]),
    "longest matches": (OTHERS + dc.regex("[<x>]{0,2}"), ["<", ">", "x", "<<", "x>", "<x"]),
    "without a lexer": (MIRROR + (X | MIRROR), ["a", "b", "c", "(", "x", ")", "ca", "ac"]),
    "alternatives": (X | MIRROR | dc.regex("[ab]{2}|xx"), ["a", "b", "c", "(", "x", ")", "ab", "x)"]),
    "repeated": ((X + ",").repeat(1, 3), ["(", "x", ")", ",", "x,", "),("]),
    "repeated, perhaps empty": (PAIRS.repeat(2, 2) + "x", ["(", ")", "[", "]", "x", ")(", "()"]),
    "and": ((X & dc.regex(r"\(\(.*")) + (MIRROR & dc.regex(".{3,}")), ["((x", "))", "a", "c", "aca", "))c", "(x)"]),
    "and around": (dc.template("{p}-{q}", p=PAIRS, q=X) & dc.regex(r".{4}|[(].*"), ["(", ")", "[", "]", "-", "x", ")-"]),
    "and inside and": (
        "z" + (((X & dc.regex(".{3,}")) | MIRROR) + "!" & dc.regex(".*[xc].?!")), ["z", "(", "x", ")", "!", "c", "a", "x)"],
    ),
    "characters": (dc.template("é{e}è", e=dc.grammar('start: "é" start "è" | "ê"')), ["é", b"\xc3", "ê", b"\xa8", b"\xaa\xc3", "êè"]),
}  # fmt: skip


def is_in(constraint: Constraint, text: str) -> bool:
    """By the meaning of each kind of constraint, every way to cut the text; grammars by Earley's algorithm."""
    if type(constraint) is And:
        return all(is_in(i, text) for i in constraint.items)
    if type(constraint) is Or:
        return any(is_in(a, text) for a in constraint.alternatives)
    if type(constraint) is Concat:
        return next(cuts(constraint.items, text), None) is not None
    if type(constraint) is Template:
        return next(cuts(sequence(constraint), text), None) is not None
    if type(constraint) is Repeat:
        counts = range(constraint.least, constraint.most + 1)
        return any(next(cuts([constraint.inner] * n, text), None) is not None for n in counts)
    return constraint.matches(text)


def sequence(template: Template) -> list[Constraint]:
    return [dict(template.holes)[p] if i % 2 else Literal(p) for i, p in enumerate(template.pieces)]


def cuts(parts, text: str):
    """All ways to cut a text into texts of these parts, those with the longest first ones first."""
    if not parts:
        if not text:
            yield []
        return
    for n in range(len(text), -1, -1):
        if is_in(parts[0], text[:n]):
            for rest in cuts(parts[1:], text[n:]):
                yield [text[:n], *rest]


@functools.cache
def known(name: str, text: bytes) -> bool:
    try:
        return is_in(COMPOSED[name][0], text.decode())
    except UnicodeDecodeError:
        return False


class ComposedCase(Case):
    fewest = 6

    def __init__(self, name: str, rng: random.Random):
        super().__init__(*COMPOSED[name], rng)
        self.name = name

    def can_end(self, text: bytes, more: int = 0) -> bool:
        return known(self.name, text) or (
            more > 0 and any(self.can_end(text + piece, more - 1) for piece in self.pieces)
        )


def cases(name: str, count: int):
    rng = random.Random(name)
    for _ in range(count):
        case = ComposedCase(name, rng)
        case.more = min(case.more, 1)
        try:
            yield case, case.canvas(), case.solutions()
        except dc.EmptyConstraint:
            assert not case.solutions()


# Texts ----------------------------------------------------------------------------------------------------------------


def derived(constraint: Constraint, alphabet: str, rng: random.Random) -> str:
    """Some text of it, or nearly so: of an `&` only one side counts."""
    if type(constraint) is Template:
        return "".join(derived(c, alphabet, rng) for c in sequence(constraint))
    if type(constraint) is Concat:
        return "".join(derived(c, alphabet, rng) for c in constraint.items)
    if type(constraint) is Repeat:
        count = rng.randint(constraint.least, constraint.most)
        return "".join(derived(constraint.inner, alphabet, rng) for _ in range(count))
    if type(constraint) in (And, Or):
        return derived(rng.choice(constraint._children()), alphabet, rng)
    return rng.choice(short_texts(constraint, alphabet))


@functools.cache
def short_texts(constraint: Constraint, alphabet: str) -> list[str]:
    most = 6 if len(alphabet) < 5 else 5
    every = map("".join, itertools.chain(*(itertools.product(alphabet, repeat=n) for n in range(most + 1))))
    return [t for t in every if constraint.matches(t)]


def texts(name: str, count: int) -> set[str]:
    """Matches, matches with small changes, and strings of a constraint's pieces."""
    rng = random.Random(name)
    constraint, pieces = COMPOSED[name]
    pieces = [p for p in pieces if isinstance(p, str)]
    alphabet = "".join(sorted(set("".join(pieces)) | set("é" * (name == "characters") + "èê" * (name == "characters"))))
    found = {"".join(rng.choices(pieces, k=rng.randint(0, 6))) for _ in range(count)}
    for _ in range(count):
        text = derived(constraint, alphabet, rng)
        at = rng.randint(0, len(text))
        found |= {text, text[:at] + rng.choice(alphabet) + text[at + rng.randint(0, 1) :], text[:at] + text[at + 1 :]}
    return found


@pytest.mark.parametrize("name", COMPOSED)
def test_texts_against_every_way_to_cut_them(name):
    constraint = COMPOSED[name][0]
    good = 0
    for text in texts(name, 150):
        expected = is_in(constraint, text)
        good += expected
        assert constraint.matches(text) == expected, text
        mismatch = constraint.explain(text)
        assert (mismatch is None) == expected
        if mismatch is not None:
            assert 0 <= mismatch.position <= len(text) and mismatch.expected
        if type(constraint) is Template:
            names = constraint.pieces[1::2]
            cut = next(cuts(sequence(constraint), text), None)
            assert constraint.fields(text) == ({} if cut is None else dict(zip(names, cut[1::2])))
    assert good > 1


# Not where the two sides of an & go on, but not together, or what would go on is cut otherwise then.
@pytest.mark.parametrize("name", [n for n in COMPOSED if "and" not in n and n != "keywords"])
def test_the_first_wrong_place_is_where_no_text_goes_on(name):
    """What was read up to there is the beginning of a text, and with the next character it isn't."""
    constraint = COMPOSED[name][0]
    machine = constraint.machine()
    for text in texts(name, 40):
        mismatch = constraint.explain(text)
        if mismatch is not None:
            with machine.lock:
                before = machine.read(machine.start, text[: mismatch.position].encode())
                rest = machine.close(before)
                assert rest is not None and is_in(constraint, text[: mismatch.position] + rest.decode())
                assert machine.shortest(before) <= len(rest.decode())


@pytest.mark.parametrize("name", COMPOSED)
def test_the_cover_holds_every_text(name):
    constraint = COMPOSED[name][0]
    cover = constraint.searched().automaton
    for text in texts(name, 150):
        assert cover.accepts(text) or not is_in(constraint, text)


def test_bytes_are_read_as_characters_are():
    """Cut anywhere, inside characters too."""
    constraint = dc.template("é{e}€", e=dc.grammar('start: "é" start "€" | "😀"'))
    machine = constraint.machine()
    text = "éé😀€€".encode()
    for n in range(len(text)):
        config = machine.read(machine.read(machine.start, text[:n]), text[n:])
        assert config == machine.read(machine.start, text) and machine.accepts(config)
        assert not machine.accepts(machine.read(machine.start, text[:n]))


def test_what_cannot_be():
    for constraint, reason in [
        (~dc.template("{a}", a=dc.grammar("sql")), "~ of a grammar with unbounded nesting"),
        (dc.template("{a}", a=dc.grammar("sql") & dc.grammar("c_body")), "both nest without bound.*max_depth"),
        (dc.template("{a}={a}", a=dc.grammar("sql")), r"the hole \{a\} stands 2 times, but allows infinitely many"),
    ]:
        for ask in (lambda: constraint.matches("x"), lambda: dc.compile(constraint, generated_vocabulary(4096))):
            with pytest.raises(dc.ConstraintError, match=reason) as error:
                ask()
            assert "\n" not in str(error.value)


def test_a_part_that_contradicts_the_rest_is_an_empty_constraint():
    nothing = dc.template("{a}", a=dc.grammar("sql")) & dc.regex("[0-9]+")
    with pytest.raises(dc.EmptyConstraint, match="no text satisfies"):
        dc.compile(nothing, generated_vocabulary(4096))


def test_composed_constraints_are_pickled_without_their_machines():
    constraint = COMPOSED["and around"][0]
    constraint.matches("[]-x")
    again = pickle.loads(pickle.dumps(constraint))
    assert (
        again == constraint and again.matches("[]-x") and "_machine" not in pickle.loads(pickle.dumps(again)).__dict__
    )


# Canvases -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPOSED)
def test_every_string_of_tokens_by_brute_force(name):
    compare(name, 10, cases, 0.15)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPOSED)
def test_every_string_of_tokens_of_many_cases(name):
    compare(name, 30, cases, 0.15)


def fill_holes(template: Template, vocabulary, texts: int, length: int) -> dict[str, int]:
    """Texts of the template with some of their tokens hidden: Lark reads what each part holds of what fills the holes."""
    compiled = dc.compile(template, vocabulary, cache=False)
    assert compiled.machine is not None
    names = {name: grammar for name, grammar in PARTS.items() if name in dict(template.holes)}
    sources = {name: BundledTexts(grammar, 3).accepted(100) for name, grammar in names.items()}
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    tally = {"all": 0, "unknown": 0, "exact": 0}
    while tally["all"] < 3 * texts:
        filled = {name: next(source) for name, source in sources.items()}
        text = "".join(filled[p] if i % 2 else p for i, p in enumerate(template.pieces))
        ids = vocabulary.encode(text)
        if len(ids) > length or not template.matches(text):
            continue
        ids += [vocabulary.eos_ids[0]] * (length - len(ids))
        first = rng.randrange(length // 2)
        for hidden in (rng.sample(range(length), length // 2), range(first, first + length // 3), range(1, length)):
            tally["all"] += 1
            canvas = compiled.canvas(length, {i: t for i, t in enumerate(ids) if i not in hidden})
            assert all(canvas.allowed(i)[ids[i]] for i in range(0, length, 9))
            assert canvas.feasible is not False
            if canvas.feasible is None:
                tally["unknown"] += 1
                continue
            logits = 3 * torch.randn(length, len(vocabulary), generator=generator)
            for found in (canvas.best(logits), canvas.sample(logits, 1.0, generator)):
                written = vocabulary.decode(found.ids[: vocabulary.text_length(found.ids)])
                fields = template.fields(written)
                assert "".join(fields[p] if i % 2 else p for i, p in enumerate(template.pieces)) == written
                assert all(accepts(grammar, fields[name]) for name, grammar in names.items())
                assert all(found.ids[i] == t for i, t in canvas.pinned.items())
            tally["exact"] += found.exact
    print(tally)
    return tally


PARTS = {"query": "sql", "code": "python_expression"}


def test_two_grammars_in_one_text():
    template = dc.template("Q: {query}\nE: {code};", query=dc.grammar("sql"), code=dc.grammar("python_expression"))
    tally = fill_holes(template, generated_vocabulary(4096), 2, 100)
    assert tally["unknown"] <= 1


@pytest.mark.slow
def test_a_fenced_expression_on_a_real_vocabulary():
    template = dc.template("```python\n{code}\n```", code=dc.grammar("python_expression"))
    tally = fill_holes(template, generated_vocabulary(), 3, 80)
    assert tally["unknown"] <= 1

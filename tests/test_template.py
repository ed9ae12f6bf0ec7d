"""Templates: what they accept, and what comes back from their holes, against every way to cut the text."""

import itertools
import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dgemma_constrain as dc

WORDS = ["".join(w) for n in range(6) for w in itertools.product("ab-", repeat=n)]


def ways(pieces: list[str], holes: dict[str, set[str]], text: str) -> list[dict[str, str]]:
    """Every way to fill the holes so that the text comes out, the one with the longest, leftmost holes first."""
    names = pieces[1::2]
    found = []
    for values in itertools.product(*(sorted(holes[n]) for n in holes)):
        filled = dict(zip(holes, values))
        if "".join(filled[p] if i % 2 else p for i, p in enumerate(pieces)) == text:
            found.append(filled)
    return sorted(found, key=lambda filled: [-len(filled[n]) for n in names])


fixed = st.text("ab-", max_size=1)
languages = st.sets(st.text("ab", max_size=2), min_size=1, max_size=3)


@st.composite
def templates(draw):
    names = draw(st.lists(st.sampled_from("xyz"), min_size=1, max_size=4))
    pieces = [draw(fixed)]
    for name in names:
        pieces += [name, draw(fixed)]
    return pieces, {n: draw(languages) for n in dict.fromkeys(names)}


@given(templates())
@example((["", "x", "", "y", "", "x", "", "z", ""], {"x": {"", "a"}, "y": {"", "a"}, "z": {"", "a", "aa"}}))
@settings(max_examples=60)
def test_templates_accept_what_fills_them_and_give_back_the_longest_leftmost_holes(case):
    pieces, holes = case
    source = "".join(f"{{{p}}}" if i % 2 else p for i, p in enumerate(pieces))
    template = dc.template(source, **{n: dc.choice(sorted(h)) for n, h in holes.items()})
    texts = set()
    for values in itertools.product(*holes.values()):
        filled = dict(zip(holes, values))
        texts.add("".join(filled[p] if i % 2 else p for i, p in enumerate(pieces)))
    assert set(template.dfa().words()) == texts
    for text in texts:
        assert template.fields(text) == ways(pieces, holes, text)[0]
    assert template.fields("no match") == {}


@given(st.from_regex(r"\A[A-Z][a-z]{0,8}\Z"), st.text(max_size=30), st.integers(0, 10**6))
def test_what_was_filled_in_comes_back(name, body, number):
    template = dc.template(
        "Dear {name},\n{body}\nYours\nNo. {number}\n",
        name=dc.regex("[A-Z][a-z]*"),
        body=dc.text(),
        number=dc.regex(r"[0-9]+"),
    )
    text = f"Dear {name},\n{body}\nYours\nNo. {number}\n"
    assert template.matches(text)
    assert template.fields(text) == {"name": name, "body": body, "number": str(number)}


def test_an_ambiguous_text_gives_the_left_hole_all_it_can_have():
    template = dc.template("{a} and {b}", a=dc.text(), b=dc.text())
    assert template.fields("x and y and z") == {"a": "x and y", "b": "z"}


def test_braces_are_doubled_and_everything_else_stands_for_itself():
    template = dc.template("{{{x}}} {{}} .* \\ $1 \n", x="1")
    assert template.matches("{1} {} .* \\ $1 \n") and template.fields("{1} {} .* \\ $1 \n") == {"x": "1"}
    assert dc.template("no holes").matches("no holes") and dc.template("").matches("")


@given(st.text(max_size=12))
def test_a_text_with_its_braces_doubled_is_itself(text):
    assert dc.template(text.replace("{", "{{").replace("}", "}}")).matches(text)


def test_any_identifier_names_a_hole():
    names = ["source", "self", "holes", "class", "größe", "_", "__init__", "x1"]
    template = dc.template(" ".join(f"{{{n}}}" for n in names), **{n: dc.regex("[a-z]") for n in names})
    assert template.fields("a b c d e f g h") == dict(zip(names, "abcdefgh"))


def test_a_hole_may_hold_any_constraint_and_brings_its_own_fields():
    inner = dc.template("<{tag}>", tag=dc.choice(["b", "i"]))
    date = dc.regex(r"(?P<year>\d{4})-\d\d")
    template = dc.template("{when} {what}", when=date & ~dc.contains("13"), what=inner)
    assert template.fields("2024-01 <b>") == {"when": "2024-01", "year": "2024", "what": "<b>", "tag": "b"}
    assert not template.matches("2024-13 <b>")
    assert dc.template("{j}", j=dc.json_schema({"type": "integer"})).fields("12") == {"j": "12"}


def test_what_a_hole_looks_around_at_stays_inside_it():
    assert dc.template("a{x}", x=dc.regex(r"\Ab")).matches("ab")
    assert dc.template("{x}b", x=dc.regex(r"a$")).matches("ab")


# The same name twice


@given(languages)
def test_a_name_that_stands_twice_holds_the_same_text_twice(values):
    template = dc.template("{x}-{x}", x=dc.choice(sorted(values)))
    assert {w for w in WORDS if template.matches(w)} == {f"{v}-{v}" for v in values}


def test_infinitely_many_texts_cannot_be_compared():
    template = dc.template("{x} {y} {x}", x=dc.regex("a+"), y=dc.text())
    for ask in (template.dfa, lambda: template.matches("a b a"), lambda: template.fields("a b a")):
        with pytest.raises(dc.TemplateError, match=r"the hole \{x\} stands 2 times, but allows infinitely many texts"):
            ask()


def test_too_many_texts_to_compare_are_refused_soon():
    big = dc.regex("[0-9]{3}")
    began = time.process_time()
    assert dc.template("{x}{x}", x=big).matches("123123")
    for template in (dc.template("{x}{x}{y}{y}", x=big, y=big), dc.template("{x}{x}", x=dc.regex("[0-9a-z]{40}"))):
        with pytest.raises(dc.TemplateError, match=r"more than 10,000 combinations; narrow"):
            template.dfa()
    assert time.process_time() - began < 5


def test_holes_that_stand_once_are_not_counted():
    template = dc.template("{x}{y}{x}", x=dc.choice(["a", "ab"]), y=dc.text())
    assert template.fields("abab") == {"x": "ab", "y": ""} and template.fields("aba") == {"x": "a", "y": "b"}
    assert template.fields("ababb") == {}


def test_a_repeated_hole_that_nothing_fills_is_empty():
    with pytest.raises(dc.EmptyConstraint, match="no text satisfies both"):
        dc.template("{x}{x}", x=dc.literal("a") & "b").check_not_empty()


# Errors


@pytest.mark.parametrize(
    "source, holes, message",
    [
        ("a{b", {}, "a single '{' at position 1; a brace is '{{'"),
        ("ab}c", {}, "a single '}' at position 2; a brace is '}}'"),
        ("{{}", {}, "a single '}' at position 2"),
        ("{{{", {}, "a single '{' at position 2"),
        ("x{}", {}, "'{}' at position 1 is not a hole: no name between the braces"),
        ("{1}", {}, "'{1}' at position 0 is not a hole"),
        ("{a b}", {}, "'{a b}' at position 0 is not a hole"),
        ("{x:>3}", {"x": "a"}, "'{x:>3}' at position 0 is not a hole"),
        ("{x.y}", {"x": "a"}, "'{x.y}' at position 0 is not a hole"),
        ("{x{y}}", {"x": "a", "y": "a"}, "a single '{' at position 0"),
        ("{x}", {}, "the hole {x} has no constraint; pass x=…, for instance x=text()"),
        ("{x}", {"x": "a", "y": "b"}, "there is no hole {y} in this template; its holes: x"),
        ("", {"y": "b"}, "there is no hole {y} in this template; its holes: none"),
    ],
)
def test_templates_that_cannot_be_read_say_where(source, holes, message):
    with pytest.raises(dc.TemplateError, match=re.escape(message)):
        dc.template(source, **holes)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: dc.template(5), "a template must be a str"),
        (lambda: dc.template("\ud800"), "half a surrogate pair at position 0"),
        (lambda: dc.template("{x}", x=5), "a constraint or a text is needed here, not int"),
        (lambda: dc.template("{x}", x="\udc00"), "half a surrogate pair"),
    ],
)
def test_bad_arguments_are_errors(make, message):
    with pytest.raises(dc.ConstraintError, match=message):
        make()


def test_explain_points_into_the_filled_template():
    template = dc.template("Dear {name},\nYours", name=dc.regex("[A-Z][a-z]+"))
    assert template.explain("Dear Anna,\nYours") is None
    assert template.explain("Dear anna") == dc.Mismatch(5, "'a'", "'A'-'Z'")
    assert template.explain("Dear Anna;") == dc.Mismatch(9, "';'", "',', 'a'-'z'")
    assert template.explain("Dear Anna,\nX") == dc.Mismatch(11, "'X'", "'Yours'")


# On a canvas: templates are where fixed text stands before and after what is written


@pytest.fixture(scope="module")
def vocabulary():
    return dc.Vocabulary([bytes([b]) for b in range(32, 127)] + [b"Dear ", b", ", b"Yours", None], eos_id=98)


@pytest.mark.parametrize("length", [14, 17, 25])
def test_fixed_text_stays_fixed_and_pins_stay_pinned(vocabulary, length):
    import torch

    template = dc.template("Dear {name}, {body} Yours", name=dc.regex("[A-Z][a-z]+"), body=dc.text())
    compiled = dc.compile(template, vocabulary, cache=False)
    canvas = compiled.canvas(length, pinned={0: 95, 1: ord("B") - 32, length - 1: 97})
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        ids = canvas.sample(torch.randn(length, len(vocabulary), generator=generator), generator=generator).ids
        assert (ids[0], ids[1], ids[length - 1]) == (95, ord("B") - 32, 97)
        text = vocabulary.decode(ids)
        fields = template.fields(text)
        assert text == "Dear {name}, {body} Yours".format(**fields) and re.fullmatch("B[a-z]+", fields["name"])


def test_pins_against_the_fixed_text_are_infeasible(vocabulary):
    compiled = dc.compile(dc.template("Dear {x}", x=dc.text()), vocabulary, cache=False)
    canvas = compiled.canvas(8, pinned={0: ord("X") - 32})
    assert not canvas.feasible
    with pytest.raises(dc.Infeasible):
        canvas.check()

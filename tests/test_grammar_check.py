"""Grammars that can be read but not used."""

import pytest

from dgemma_constrain.constraints.grammar import read
from dgemma_constrain.constraints.grammar.check import unproductive
from dgemma_constrain.constraints.grammar.recognise import matches
from dgemma_constrain.errors import GrammarError

BAD = {
    "start: A\nA: /x*/": (2, 1, "terminal A matches the empty text"),
    'start: "y"\n%ignore /x*/': (2, 9, "terminal /x*/ matches the empty text"),
    "start: A\nA: /(?!x)x/": (2, 1, "terminal A matches no text"),
    "start: A\nA: /if\\b/": (2, 1, "terminal A looks at the text around it"),
    "start: A\nA: /(?!if)[a-z]+/": (2, 1, "keywords: they win over it"),
    "start: /^a/ /b$/": (1, 8, "terminal /^a/ looks at the text around it"),
    "start: A\nA: /a(?!b)/": (2, 1, "looks at the text around it"),
    "start: A\nA: /(?<!b)a/": (2, 1, "looks at the text around it"),
    'start: "a" start': (1, 1, "no text ever completes start:"),
    'start: "a" | b\nb: "(" c ")"\nc: b | c c': (2, 1, "no text ever completes b, c:"),
    'start: "a" W "b"\nW: " "\n%ignore W': (2, 1, "terminal ' ' is ignored, so no rule can ask for it"),
    'root ::= "a" | b\nb ::= "(" b ")"': (2, 1, "no text ever completes b"),
    'root ::= ("a" root | "b" root)': (1, 1, "no text ever completes root"),
}


@pytest.mark.parametrize("text", BAD)
def test_refused_with_the_place(text):
    line, column, message = BAD[text]
    with pytest.raises(GrammarError) as caught:
        read(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_look_arounds_that_stay_inside_are_fine():
    grammar = read('start: (STRING | NAME)*\nSTRING: /"(?!q).*?(?<!x)"/\nNAME: /[a-z]+(?<!z)/\n%ignore " "')
    assert matches(grammar, '"abx" c" name')
    assert not matches(grammar, '"quote"') and not matches(grammar, "jazz")


def test_rules_that_lead_back_to_themselves_are_fine():
    grammar = read('start: a | b\na: b | "x" | c\nb: a c | start\nc: c c | ')
    assert not unproductive(grammar)
    assert matches(grammar, "x") and matches(grammar, "") and not matches(grammar, "xx")

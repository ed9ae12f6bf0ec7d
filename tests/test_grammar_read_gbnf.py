"""GBNF as llama.cpp reads it; every way to cut a text counts."""

import json
import pickle
import random
import re

import pytest
from grammar_texts import Sentences

from dgemma_constrain.constraints.grammar import read
from dgemma_constrain.constraints.grammar.recognise import first_mismatch, matches
from dgemma_constrain.errors import GrammarError, GrammarWarning

JSON = r"""
# after llama.cpp's json.gbnf
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value   # the first member
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws

string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws

number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""

CHESS = r"""root ::= (
    "1. " move " " move "\n"
    ([1-9] [0-9]? ". " move " " move "\n")+
)
move ::= (pawn | nonpawn | castle) [+#]?
nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?
castle ::= "O-O" "-O"?
"""

CASES = [
    ('root ::= "a" | "b" "c" |', ["a", "bc", ""], ["b", "abc", "ac"]),
    ('root ::= "ab"* "c"+ "d"?', ["c", "ababccd"], ["ab", "aabc", "cdd"]),
    ('root ::= "a"{2} "b"{1,} "c"{0,2} "d"{,1}'.replace(' "d"{,1}', ""), ["aab", "aabbbcc"], ["ab", "aa", "aabccc"]),
    ("root ::= [a-c]{3,5}", ["abc", "abcab"], ["ab", "abcabc", "abd"]),
    ('root ::= ("a" "b"{2}){ 2 , 3 }', ["abbabb", "abbabbabb"], ["abb", "abbabbab", "abb" * 4]),
    ('root ::= "x"{0} "y"', ["y"], ["xy"]),
    ('root ::= "a"**+', ["", "aaa"], ["b"]),
    ('root ::= "\\x41\\u00e9\\U0001F600\\t\\n\\r\\\\\\"\\[\\]\\-"', ['Aé\U0001f600\t\n\r\\"[]-'], ["A"]),
    ("root ::= [^a-z\\n]+ .", ["ABC", "1\n", "é\U0001f600"], ["a1", "1", "\n1"]),
    ("root ::= [-a] [a-] [\\]\\[] [\"'#] [\\-x]", ["-a['-", 'a-]"x', "--]#x"], ["b-]#x", "-ax#x"]),
    ('root ::= (\n  "a"\n  |\n\n  b-c # comment ) "\n )\nb-c ::= "#" "|"', ["a", "#|"], ["b"]),
    ('root ::=\n  "a" |\n  "b"\r\n\r\n', ["a", "b"], ["ab"]),
    ('# root ::= "z"\n  root ::= under_score Dash-9\nunder_score ::= "_"\nDash-9 ::= ""', ["_"], ["z"]),
    ('root ::= root "+" root | [0-9]+', ["1+2+34"], ["1+", "+"]),
    ('root ::= "a" root | root "a" | ', ["", "aaa"], ["ab"]),
    ('root ::= "ab" "c" | "a" "bcd"', ["abc", "abcd"], ["ab", "bcd"]),
    ('root ::= a\na ::= b | "x"\nb ::= a', ["x"], [""]),
    ('root ::= "x"{100,300}', ["x" * 100, "x" * 300], ["x" * 99, "x" * 301]),
]


@pytest.mark.parametrize(("text", "good", "bad"), CASES)
def test_what_it_means(text, good, bad):
    grammar = read(text)
    assert grammar.scannerless and not grammar.ignore
    assert [t for t in good if not matches(grammar, t)] == []
    assert [t for t in bad if matches(grammar, t)] == []
    again = pickle.loads(pickle.dumps(grammar))
    assert again == grammar and matches(again, good[0])


def test_json():
    grammar = read(JSON)
    assert matches(grammar, '{"a": [1, -2.5e3, "\\u00e9\\n", true, {}]}')
    source = Sentences(grammar, 5)
    accepted = 0
    for _ in range(100):
        sentence = source.text(12)
        assert matches(grammar, sentence)
        if not re.search(r"-?0\d|\d{16}", sentence):
            json.loads(sentence)
        for text in (source.mutated(sentence) for _ in range(5)):
            if matches(grammar, text):
                accepted += 1
                json.loads(text)
    assert accepted > 20


def test_chess():
    grammar = read(CHESS)
    assert matches(grammar, "1. e4 e5\n2. Nf3 Nc6\n3. O-O-O Qxd5+\n")
    assert not matches(grammar, "1. e4 e5\n") and not matches(grammar, "1. e4 e9\n2. e4 e5\n")


def test_any_start_and_unused_rules():
    text = 'root ::= "a"\nother ::= more\nmore ::= "b"'
    with pytest.warns(GrammarWarning, match="'root' leads to no use of other, more"):
        assert len(read(text).rules) == 1
    with pytest.warns(GrammarWarning, match="no use of root"):
        assert matches(read(text, start="other"), "b")


def test_no_root():
    with pytest.raises(GrammarError, match="there is no rule 'root' to start from"):
        read('start ::= "a"')
    with pytest.raises(GrammarError, match="there is no rule 'root' to start from"):
        read("# nothing", dialect="gbnf")


@pytest.mark.filterwarnings("ignore::dgemma_constrain.errors.GrammarWarning")
def test_nothing_hangs_or_escapes():
    """Thrown together from pieces: read, or an error with a place."""
    pieces = [
        "root ::= ",
        "a ::= ",
        '"x"',
        "[a-z]",
        "(",
        ")",
        "|",
        "*",
        "{2,3}",
        "{",
        "\n",
        " ",
        "a",
        "#",
        "\\",
        '"',
        "[",
        "]",
        ".",
    ]
    rng = random.Random(11)
    read_ = 0
    for _ in range(3000):
        text = "root ::= " + "".join(rng.choices(pieces, k=rng.randint(1, 12)))
        try:
            first_mismatch(read(text), "xx")
            read_ += 1
        except GrammarError as error:
            assert "\n" not in str(error) and error.line
    assert read_ > 100


def test_where_a_text_goes_wrong():
    grammar = read(JSON)
    assert str(first_mismatch(grammar, '{"a": 1.x}')) == "at position 8: found 'x', expected '0'-'9'"
    assert str(first_mismatch(grammar, '{"a"')) == "at position 4: found end of text, expected '\\n', ' ', ':'"
    assert str(first_mismatch(read('root ::= "a"?'), "b")) == "at position 0: found 'b', expected 'a' or end of text"

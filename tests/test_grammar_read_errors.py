"""What cannot be read, in either notation: an error of one line that says where."""

import pytest

from dgemma_constrain.constraints.grammar import read
from dgemma_constrain.errors import GrammarError

LARK = {
    'start: "a" "b\n': (1, 12, "Unexpected input"),
    'start: (("a")': (1, 14, "Unexpected"),
    'start:: "a"': (1, 7, "Unexpected colon"),
    "start: x": (1, 8, "'x' used but not defined"),
    'start: A\nA: "a" B': (2, 8, "used but not defined: B"),
    'start: b\nb: "x"\nb: "y"': (2, 1, "'b' defined more than once"),
    'start: A\n%declare A': (1, 8, "%declare A cannot be part of a constraint"),
    'start: "a"\n%ignore B': (2, 9, "marked to ignore"),
    'start: A\nA: "x" A': (2, 1, "Recursion in terminal 'A'"),
    'start: A\nA: b\nb: "a"': (3, 1, "Rules aren't allowed inside terminals"),
    "%import foo.bar\nstart: bar": (1, 9, "no grammar foo.lark to import"),
    'start: "a".."bc"': (1, 8, "one character to a later one"),
    'start: "b".."a"': (1, 8, "one character to a later one"),
    'start: ""': (1, 8, "Empty terminals"),
    'start: t{"a"}\nt{x, y}: x y': (2, 1, "Wrong number of template arguments"),
    'start: t{"a"}\nt{x}: x t{u{x}}\nu{x}: x': (2, 1, "does it use itself"),
    'start: t0{"a"}\n'
    + "".join(f"t{i}{{x}}: t{i + 1}{{p{{x, x}}}}\n" for i in range(40))
    + "t40{x}: x\np{x, y}: x y": (42, 1, "more than 1,000 names"),
    'start: T0\n' + "".join(f"T{i}: T{i + 1} T{i + 1}\n" for i in range(40)) + 'T40: "z"': (29, 1, "5,000 pieces"),
    'start: "\\u00"': (1, 8, "bad escape"),
    'start: A\nA: /[/ | "b"': (2, 4, "unterminated character set"),
    "start: A\nA: /(x)\\1/": (2, 1, "terminal A: a back-reference"),
    'start: "x" /(?P<n>a)(?P=n)/': (1, 12, "terminal /(?P<n>a)(?P=n)/: a back-reference"),
    "start: A\nA: /a/ | /x*(/": (2, 10, "a pattern that is none"),
    "start: A\nA: /a/ /x*(/": (2, 1, "terminal A: missing )"),
    "start: A ~ 3..2\nA: /a/": (2, 1, "Bad Range"),
    'start{x}: "a"': (1, 1, "is a template"),
}  # fmt: skip

GBNF = {
    'root ::= "a" )': (1, 14, "expected the end of the line, found ')'"),
    'root ::= ("a" | "b"': (1, 10, "never closed"),
    'root ::= ("a" ]': (1, 15, "expected ')', found ']'"),
    'root ::= "a': (1, 10, "never closed"),
    "root ::= [a": (1, 10, "never closed"),
    "root ::= []": (1, 10, "empty class"),
    "root ::= [z-a]": (1, 11, "runs backwards"),
    'root ::= "\\q"': (1, 11, "unknown escape '\\\\q'"),
    'root ::= "\\x4"': (1, 11, "is no character"),
    'root ::= "\\U00110000"': (1, 11, "is no character"),
    "root ::= * ": (1, 10, "nothing to repeat before '*'"),
    'root ::= ""{2}': (1, 12, "nothing to repeat before '{'"),
    'root ::= "a"{}': (1, 14, "expected a number, found '}'"),
    'root ::= "a"{2,1}': (1, 14, "the upper one is below the lower"),
    'root ::= "a"{2': (1, 15, "expected '}', found the end"),
    'root ::= "a"{99999}': (1, 14, "may go up to 10,000"),
    'root ::= a\n"b"': (2, 1, "expected the name of a rule"),
    'root ::= "a"\nroot ::= "b"': (2, 1, "a second rule named 'root'"),
    'root ::= "a"\n  b': (2, 4, "expected '::=', found the end"),
    'root ::= "x" | (a\n  b)\nb ::= "c"': (1, 17, "rule 'a' is used but not defined"),
    "root ::= <think> .*": (1, 10, "a constraint knows no tokens"),
    "root ::= !</think>*": (1, 10, "a constraint knows no tokens"),
    "root ::= " + "(" * 300 + '"a"' + ")" * 300: (1, 210, "more than 200 parentheses"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("notation", "text", "expected"),
    [(notation, text, bad[text]) for notation, bad in (("lark", LARK), ("gbnf", GBNF)) for text in bad],
)
def test_errors_have_one_line_and_a_place(notation, text, expected, tmp_path):
    line, column, message = expected
    path = tmp_path / f"g.{notation}"
    path.write_text(text)
    with pytest.raises(GrammarError) as caught:
        read(path)
    error = caught.value
    assert message in str(error) and "\n" not in str(error)
    assert (error.line, error.column, error.file) == (line, column, str(path))
    assert str(error).endswith(f"(line {line}, column {column} of {path})")

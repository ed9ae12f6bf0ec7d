"""What is wrong with a grammar, and where."""

import pytest

pytest.importorskip("lsprotocol", reason="the [lsp] extra is not installed")

from dgemma_lsp.grammar_check import problems


@pytest.mark.parametrize(
    "text, wrong, says",
    [
        ('start: a "x"\n', "a", "Rule 'a' used but not defined (in rule start)"),
        ("start: A\n// é𝄞\nA: /(/\n", "A", "terminal A: missing ), unterminated subpattern"),
        ('start: "x" a\na: a "x"\n', "a", "no text ever completes"),
    ],
)
def test_an_error_is_where_the_grammar_is_wrong(text, wrong, says):
    (problem,) = problems("file:///x/g.lark", text)
    assert says in problem.message and "line" not in problem.message and not problem.warning
    assert text[problem.start : problem.end].strip() in (wrong, "start", "")


def test_a_good_grammar_has_none_and_an_unused_rule_is_a_warning():
    assert problems("untitled:g.lark", 'start: "x"\n') == []
    assert problems("file:///g.gbnf", 'root ::= "x"\n') == []
    (problem,) = problems("file:///g.lark", 'start: "x"\nother: "y"\n')
    assert problem.warning and "other" in problem.message


def test_a_file_beside_it_is_imported(tmp_path):
    (tmp_path / "words.lark").write_text("WORD: /[a-z]+/\n")
    uri = (tmp_path / "g.lark").as_uri()
    assert problems(uri, "%import .words.WORD\nstart: WORD\n") == []
    assert problems(uri, "%import .others.WORD\nstart: WORD\n") != []

"""Inside a comment, a string, or neither."""

import pytest

pytest.importorskip("tree_sitter_python", reason="the [lsp] extra is not installed")

from dgemma_lsp.syntax import inside


@pytest.mark.parametrize(
    "language, text, where",
    [
        ("python", "x = 1  # no|te\n", "comment"),
        ("python", "x = 1  # note|\ny\n", "comment"),
        ("python", "# note\n|y\n", None),
        ("python", "# é𝄞 note\nx = 'é|'\n", "string"),
        ("python", "x = |'a'\n", None),
        ("python", "x = 'a'|\n", None),
        ("python", "x = f'a {b|}'\n", None),
        ("python", "x = f'a| {b}'\n", "string"),
        ("python", '"""A doc|string."""\n', "string"),
        ("python", "x = |\n", None),
        ("javascript", "let a = `x ${b|} y`;", None),
        ("javascript", "/* a| */ b;", "comment"),
        ("javascript", "/* a */| b;", None),
        ("c", 'char *a = "b|";', "string"),
        ("go", "// a|", "comment"),
        ("sh", 'echo "a|b"', "string"),
        ("css", "/* a| */", "comment"),
        ("json", '{"a": "b|"}', "string"),
        ("cobol", "* a|", None),
        ("python", "|", None),
    ],
)
def test_where_a_cursor_is(language, text, where):
    assert inside(text.replace("|", ""), text.index("|"), language) == where


def test_a_language_that_is_not_known_has_neither():
    assert inside("# note", 3, "klingon") is None

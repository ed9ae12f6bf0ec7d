"""Inside a comment, a string, or neither; and a tree that is edited in step with its document."""

import asyncio
import random

import pytest

pytest.importorskip("tree_sitter_python", reason="the [lsp] extra is not installed")

from dgemma_constrain.infill import languages
from dgemma_lsp.documents import ENCODINGS, Document
from dgemma_lsp.syntax import Syntax, parsed
from test_lsp_documents import PIECES, edit


def inside(text, cursor, language):
    return asyncio.run(Syntax(Document.opened("u", language, 1, text)).inside(cursor))


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


def nodes(tree):
    """All that a tree says: every node with its bytes and its points."""
    cursor, found = tree.walk(), []
    while True:
        node = cursor.node
        found.append((cursor.depth, node.type, node.start_byte, node.end_byte, node.start_point, node.end_point))
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return found


def leaves(nodes):
    """Those that have no others inside."""
    return [one[1:] for one, after in zip(nodes, [*nodes[1:], (0,)]) if after[0] <= one[0]]


CODE = {
    "python": "import os\n\n\nclass A:\n    def f(self, x):\n        # é𝄞\n        return [x, 'ß€', f'{x}', 1]\n\n\nA().f(2)\n",
    "javascript": "function f(a, b) {\r\n  return `é ${a} 𝄞` + b; // note\r\n}\r\nlet x = {a: [1, 2], b: f(1)};\r\n",
    "json": '{\n  "a": [1, 2, {"é": "𝄞"}],\n  "b": null\n}\n',
    "c": 'int f(int a) { /* é */ return a + 1; }\nchar *s = "𝄞";\n',
}
# Where a statement without a semicolon ends, JavaScript's scanner looks further than tree-sitter remembers: a comment may then be in it
# or behind it.
DIFFER = {"javascript": 3}
TYPED = ["x", "(", ")", "[]", "{", "}", "'", '"', ",", " = 1", "\n    ", "\r\n", "\r", "# ", "//", "def g():\n", "🙂", "é"]  # fmt: skip


def some_edit(rng, document):
    line = rng.randrange(len(document.lines))
    column = rng.randrange(len(document.lines[line]) + 2)
    other = min(line + rng.choice([0, 0, 0, 1, 2]), len(document.lines))
    end = (other, column + rng.choice([0, 0, 1, 3])) if other == line else (other, rng.randrange(8))
    return edit((line, column), end, rng.choice([*TYPED, *PIECES, "", ""]))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("language", CODE)
def test_after_random_edits_it_is_the_tree_of_the_text_as_it_is_now(language, encoding):
    rng = random.Random(f"{language} {encoding}")
    pytest.importorskip(f"tree_sitter_{language}")
    grammar, whole, differ = languages.grammar(language), 0, 0

    async def run():
        nonlocal whole, differ
        for _ in range(100):
            document = Document.opened("u", language, 0, CODE[language] * 3, encoding)
            syntax = Syntax(document)
            await syntax.parse()
            for version in range(6):
                document.change([some_edit(rng, document) for _ in range(rng.choice([1, 1, 1, 3]))], version)
                await syntax.parse()
                source = document.text.encode()
                assert syntax.source == source
                fresh = parsed(grammar, source)
                whole += not fresh.root_node.has_error
                mine, true = nodes(syntax.tree), nodes(fresh)
                differ += mine != true
                assert leaves(mine) == leaves(true), source.decode()

    asyncio.run(run())
    assert 10 < whole < 550  # of 600
    assert differ <= DIFFER.get(language, 0), differ


def test_a_parse_starts_from_the_tree_before_and_edits_that_come_meanwhile_are_for_the_next(monkeypatch):
    pytest.importorskip("tree_sitter_python")
    document = Document.opened("u", "python", 0, "x = 1\n" * 5_000)
    syntax, olds = Syntax(document), []

    def seen(grammar, source, old=None):
        olds.append(old and [(r.start_byte, r.end_byte) for r in old.changed_ranges(parsed(grammar, source))])
        return parsed(grammar, source, old)

    monkeypatch.setattr("dgemma_lsp.syntax.parsed", seen)

    async def run():
        waiting = asyncio.ensure_future(syntax.parse())
        while document.touched:  # until it reads the text
            await asyncio.sleep(0)
        document.change([edit((2_500, 4), (2_500, 5), "'y'")], 1)
        await waiting
        assert syntax.source.count(b"y") == 0
        await asyncio.gather(syntax.parse(), syntax.parse())
        assert syntax.source == document.text.encode()

    asyncio.run(run())
    assert olds[0] is None and len(olds) == 2
    ((start, end),) = olds[1]
    assert 15_000 <= start < end <= 15_010
    assert nodes(syntax.tree) == nodes(parsed(languages.grammar("python"), syntax.source))


def test_a_parse_that_is_no_longer_waited_for_is_there_for_the_next():
    pytest.importorskip("tree_sitter_python")
    syntax = Syntax(Document.opened("u", "python", 0, "x = 1\n" * 1_000))

    async def run():
        first = asyncio.ensure_future(syntax.parse())
        while syntax.document.touched:
            await asyncio.sleep(0)
        first.cancel()
        await syntax.parse()
        tree = syntax.tree
        await syntax.parse()
        assert tree is not None and syntax.tree is tree

    asyncio.run(run())

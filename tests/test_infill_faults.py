"""What is wrong with a file, by places, and whether the answers that a judge accepts are no worse than the placeholder."""

import random
from collections import Counter

import pytest
from tree_sitter import Parser

from dgemma_constrain.infill.faults import Faults, Sides
from dgemma_constrain.infill.judge import Judge
from dgemma_constrain.infill.languages import grammar

FILES = {
    "c": "int f(void) {\n  return 1;\n}\n\nvoid __init g(void);\nint h(int a __unused) {\n  return a +;\n}\n\n"
    "struct s {\n  __u8 a;\n  const struct t __rcu *b;\n};\nMACRO(a)\nint k;\n",
    "css": "a { color: red }\n.x { display: inline ! important; }\nb { margin: 0; }\n.y { color: blue ! important; }\n",
    "python": "def f(:\n    pass\n\nx = [1, 2\n\ndef g(a):\n    return a\n\nprint 'a'\ny = g(1)\n",
    "javascript": "function f( {\n  return 1;\n}\nconst a = [1, 2;\nlet b = f(a);\nclass A { g() { return ] } }\n",
}
PIECES = ["x", "1", "(", ")", "{", "}", ";", ",", ":", '"', "'", "=", "\n", " ", "/*", "*/", "[", "]", "return", "*"]


def errors(language, text):
    """Nodes of a new parse as (what, start, end), in bytes."""
    found, todo = [], [Parser(grammar(language)).parse(text.encode()).root_node]
    while todo:
        node = todo.pop()
        inner = [x for x in node.children if x.has_error or x.is_error or x.is_missing]
        if node.is_error or node.is_missing or (node.has_error and not inner):
            found.append((node.type if node.is_missing else "error", node.start_byte, node.end_byte))
        todo += inner
    return found


def beside(errors, start, stop):
    """The same with places that don't depend on the hole's text: a side and bytes from it."""
    return [
        (what, *((0, at) if at < start or at == start == stop else (2, at - stop) if at >= stop else (1, at) for at in ends))
        for what, *ends in errors
    ]


def lines(text, start, stop):
    """The line numbers of an error; what is missing lies anywhere up to the next token."""
    if start == stop:
        stop += len(text[stop:]) - len(text[stop:].lstrip())
    return range(text.count("\n", 0, start), text.count("\n", 0, stop) + 1)


@pytest.mark.parametrize("language", FILES)
def test_an_accepted_text_has_no_more_errors_than_the_placeholder_and_where_that_has_them(language):
    draw, text, accepted = random.Random(3), FILES[language], 0
    for _ in range(60):
        a = draw.randrange(len(text))
        b = min(len(text), a + draw.randrange(6))
        before, after = text[:a], text[b:]
        judge = Judge(language, before, after)
        first = next(judge._placeholders(""))
        known = errors(language, before + first + after)
        shown = beside(known, a, a + len(first))
        for _ in range(12):
            filled = "".join(draw.choices(PIECES, k=draw.randrange(1, 4)))
            if not judge.verdict(filled).clean:
                continue
            accepted += 1
            ours = errors(language, before + filled + after)
            assert len(ours) <= len(known), (before, filled, after)
            for (what, start, stop), one in zip(ours, beside(ours, a, a + len(filled))):
                if one in shown:
                    continue
                near = []
                for _, x, y in known:
                    wide = lines(before + first + after, x, y)
                    low, high = wide.start - 1, wide.stop
                    rows = filled.count("\n") - first.count("\n")
                    near.append((low if x < a else low + rows, high if y < a else high + max(rows, 0)))
                mine = lines(before + filled + after, start, stop)
                assert any(low <= mine[0] and mine[-1] <= high for low, high in near), (before, filled, after, one)
    assert accepted > 8


def test_an_error_that_swallows_the_rest_is_no_better_than_small_ones():
    before, after = "a {color: red; ", "}\n" + "".join(f".x{k} {{color: red ! important;}}\n" for k in range(9))
    sides, parser = Sides(before.encode(), after.encode()), Parser(grammar("css"))

    def faults(text):
        return sides.faults(parser.parse((before + text + after).encode()), len(text))

    small, swallowed = faults("margin: 0;"), faults("x'")
    assert swallowed.nodes.total() < small.nodes.total() and not sides.keeps_to(swallowed, small)
    judge = Judge("css", before, after)
    assert judge.verdict("margin: 0;").clean and not judge.verdict("x'").clean


def test_an_error_may_move_to_another_token_of_its_lines_but_not_away():
    before, after = b"int a = ", b";\nint b;\nint c;\nint d;\nint e;\n"
    sides = Sides(before, after)

    def faults(*spans):
        return Faults(Counter(("error", ("right", x), ("right", y)) for x, y in spans), 2 * len(spans), 0)

    known = faults((20, 16))  # in the line of c
    assert sides.keeps_to(faults((17, 16)), known) and sides.keeps_to(faults((27, 25)), known)
    assert not sides.keeps_to(faults((5, 2)), known)
    assert not sides.keeps_to(faults((20, 16), (5, 2)), known)
    assert not sides.keeps_to(faults((20, 16), (17, 16)), known)  # it is there still
    assert sides.keeps_to(faults(), known)

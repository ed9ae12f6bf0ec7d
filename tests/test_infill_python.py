"""What Python reads, told by a few statements around the hole, is what it reads of the whole file."""

import ast
import bisect
import random
import textwrap
import warnings
from pathlib import Path

import pytest

from dgemma_constrain.infill.judge import Judge

PIECES = ["x", "x = 1", "return", "else: y", "elif a: b", "@x", "(", ")", "'", '"""', "if x:", "x y", "pass; y", "a, *b", "f(**x, *y)",
          "except E: pass", "case 1: pass", "# x", "\\", "lambda: (yield)", "", "x = yield = 1", "finally: pass", "\n", "x\n    y", "x\ny",
          "x\n        y", "else:\n        z", "def f():\n            return", "for x in y:"]  # fmt: skip


def reads(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text.encode())
        except (SyntaxError, ValueError):
            return False
    return True


@pytest.mark.parametrize("module", [bisect, textwrap, warnings])
def test_a_few_statements_say_what_the_whole_file_does(module):
    source, draw, said = Path(module.__file__).read_text(), random.Random(1), set()
    lines = [0, *(i + 1 for i, c in enumerate(source) if c == "\n")]
    for n in range(25):
        start = draw.choice(lines[:-1])
        start = draw.randrange(start, source.index("\n", start) + 1)
        end = draw.choice([start, source.index("\n", start), min(start + draw.randrange(12), len(source))])
        before, after = source[:start], source[end:]
        judge = Judge("python", before, after)
        if not reads(before + judge.placeholder + after):
            continue
        for text in [source[start:end], *draw.sample(PIECES, 12)]:
            if judge.verdict(text).clean:
                said.add(reads(before + text + after))
                assert judge.compiles(text) == reads(before + text + after), (before[-200:], text, after[:200])
    assert said == {True, False}


def test_statements_join_with_those_beside_them():
    judge = Judge("python", "class C:\n    if a:\n        b\n    ", "\n    def f(): pass\n")
    assert judge.compiles("else: c") and judge.compiles("@d") and not judge.compiles("finally: c")
    judge = Judge("python", "def f():\n    x\n    ", "\n\ny\n")
    assert judge.compiles("y\n    z") and not judge.compiles("y\n  z") and not judge.compiles("y\nelse:\n    z")
    assert judge.compiles("y\nz") and not judge.compiles("def g():")


def test_an_error_far_away_is_no_reason_to_be_lenient():
    judge = Judge("python", "print 'old'\n\n\ndef f(a):\n    b = a\n    ", "\n    return b\n\n\nc\nd\n")
    assert judge.compiles("return b") and not judge.compiles("f() = b")

"""Random patterns, and the two oracles for them: Python's `re` and node's RegExp."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess

from dgemma_constrain.automata.dfa import DFA, compile_nfa
from dgemma_constrain.constraints.regex import parse

PYTHON_LEAVES = ["a", "b", "c", "\n", ".", "[ab]", "[^a]", "_"]
PYTHON_ANCHORS = ["^", "$", r"\A", r"\Z", r"\b", r"\B", "(?m:^)", "(?m:$)"]
ECMA_ANCHORS = ["^", "$", r"\b", r"\B"]
SMALL_TEXTS = ["".join(t) for n in range(5) for t in itertools.product("ab\n-", repeat=n)]

# Pieces of syntax to throw together; most of what comes out is wrong somewhere.
PYTHON_PIECES = (
    list("ab()[]{}*+?|^$.\\-:=!<>PLimsxu#,019 \n&~")
    + (
        "(? (?: (?P< (?P<n> (?i (?i) (?- \\x \\u00 \\d \\w \\b [^ {1,2} {2,1} (?# \\N{ DASH} (?<= (?! (?> \\12 "
        "\\0 \\777 \\8"
    ).split()
)
FLAG_PIECES = (
    "a b K k s ſ İ ı i é É ß ẞ ^ $ | ( (?: ) ) ) ) * + ? *+ ++ ?+ {1,2}+ {2} {,2} {1,} [ ] [^ - . \\w \\W \\d "
    "\\s \\b \\B \\A \\Z (?i: (?s: (?-i: (?s-m: (?> (?= (?! (?<= (?<! # \\n \\x41 \\u017f _ (?P<n> \\\\ { }"
).split() + [" ", "\n", "\\\n", "\\ "]
FLAG_TEXT = "abKks\u017fİıiIéÉßẞ\n _-0\u212a"
ECMA_PIECES = (
    list("abk()()()[]{}*+?|^$.\\-:=!<>/,01_")
    + (
        "(?: (?<n> (?<m> (?= (?! (?<= (?<! {1,2} {2,1} {2} {1,} *? +? ?? [^ \\d \\D \\w \\W \\s \\b \\B \\u{4b} \\u0041 "
        "\\uD83D\\uDE00 \\ud800 \\cA \\c \\0 \\00 \\- \\/ \\x41 \\x4 \\p{Lu} \\P{Lu} \\p{Script=Greek} \\p{L \\k<n> \\1 "
        "a b K ) ) ) ]"
    ).split()
)
ECMA_TEXT = "abkK\u212a\u017fsS_-0A\n\u2028\U0001f600αΑßẞé"


def random_pattern(rng: random.Random, depth: int, anchors: list[str], named: bool = False) -> str:
    """A well-formed pattern over a small alphabet, with everything in it that can stand anywhere."""
    kind = rng.random()
    if depth == 0 or kind < 0.33:
        return rng.choice(PYTHON_LEAVES)
    inner = random_pattern(rng, depth - 1, anchors, named)
    if kind < 0.53:
        return inner + random_pattern(rng, depth - 1, anchors, named)
    if kind < 0.65:
        return f"(?:{inner}|{random_pattern(rng, depth - 1, anchors, named)})"
    if kind < 0.79:
        return f"(?:{inner})" + rng.choice(["*", "+", "?", "{2}", "{1,2}", "{0,2}", "*?", "??", "+?", "{1,2}?"])
    if kind < 0.84:
        return f"(?<g{rng.randrange(10**9)}>{inner})" if named else f"({inner})"
    if kind < 0.90:
        return rng.choice(anchors)
    return rng.choice(["(?=", "(?!"] if kind < 0.95 else ["(?<=", "(?<!"]) + inner + ")"


def thrown_together(rng: random.Random, pieces: list[str], most: int, balanced: bool) -> str:
    pattern = "".join(rng.choice(pieces) for _ in range(rng.randint(1, most)))
    return pattern + ")" * max(0, pattern.count("(") - pattern.count(")")) if balanced else pattern


def language(pattern: str, flavor: str = "python", **options) -> DFA:
    return compile_nfa(parse(pattern, flavor, **options).nfa())


_NODE = """
for (const row of JSON.parse(require('fs').readFileSync(0, 'utf8'))) {
  let answer;
  try {
    new RegExp(row.pattern, row.flags);
    const r = new RegExp(row.search ? row.pattern : '^(?:' + row.pattern + ')$', row.flags);
    answer = row.texts.map(t => { const m = r.exec(t); return m && {...m.groups}; });
  } catch (e) { answer = e.message; }
  console.log(JSON.stringify(answer));
}
"""


def ask_node(rows: list[dict]) -> list | None:
    """For each row (pattern, flags, search, texts) the groups per text (None: no match), or the error's message."""
    if not shutil.which("node"):
        return None
    done = subprocess.run(["node", "-e", _NODE], input=json.dumps(rows), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.rstrip("\n").split("\n")]

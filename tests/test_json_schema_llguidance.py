"""Left-to-right masks of schemas at 262,144 tokens beside llguidance's: what it allows we allow, and what more we allow is JSON.

The walk goes along random tokens that both allow. `python tests/test_json_schema_llguidance.py` prints the table in
docs/json_schema.md.
"""

import random
import re
import sys
from collections import Counter

import pytest
import torch

import dgemma_constrain as dc
from benchmarks.cases import Case
from benchmarks.schemas import SCHEMAS
from benchmarks.vocabularies import generated_vocabulary

pytest.importorskip("llguidance", reason="llguidance is not installed (extra: bench)")

# What only we allow: (why, what is said of the text so far, what of the token).
CAUSES = [
    ("white space before the value", r"\s*", r"\s.*"),
    ("white space behind the value", r".*[\]}]\s*", r"\s+"),
    ("U+007F in a string, which JSON has unescaped", r".+", r".*\x7f.*"),
    ("escapes that need not be: \\/, and \\u0061 for a", r".*\\", r"[/u].*"),
    ("escapes in names and in strings of enum, const, pattern and format", r".+", r".*\\.*"),
    ("numbers as 1.0, 10e-1", r".*[0-9.eE+-]|.*[:\[,{\s]", r".*[.eE0-9+-].*"),
]
STRUCTURE = re.compile(rb'["{}\[\]:,0-9]')


@pytest.fixture(scope="module")
def vocabulary():
    return generated_vocabulary()


@pytest.fixture(scope="module")
def peer(vocabulary):
    from benchmarks.peers import LLGuidance

    return LLGuidance(vocabulary)


def steps(schema, vocabulary, peer, positions, seed=0):
    """(text so far, our mask, its mask) at each position; nothing where it cannot read the schema."""
    try:
        peer.compile(Case("", "schema", schema, ""))
    except ValueError:
        return
    compiled, chance = dc.compile(dc.json_schema(schema), vocabulary, cache=False), random.Random(seed)
    peer.start()
    ids: list[int] = []
    for at in range(positions):
        bits = torch.zeros(1, -(-len(vocabulary) // 32), dtype=torch.int32)
        peer.fill(bits, 0)
        theirs = (bits[0, :, None] >> torch.arange(32)).bitwise_and(1).bool().ravel()[: len(vocabulary)]
        ours = compiled.canvas(at + 1, dict(enumerate(ids)), more_tokens=600).allowed(at)
        yield vocabulary.decode(ids), ours, theirs
        both = torch.nonzero(ours & theirs).ravel().tolist()
        marks = [t for t in both if STRUCTURE.search(vocabulary.token_bytes(t) or b"")]
        ids.append(chance.choice(marks if marks and chance.random() < 0.7 else both))
        if ids[-1] in vocabulary.eos_ids or not peer.advance(ids[-1]):
            return


def cause(text, token):
    return next((why for why, of_text, of_token in CAUSES if _is(of_text, text) and _is(of_token, token)), "")


def _is(pattern, text):
    return re.fullmatch(pattern, text, re.DOTALL)


def difference(vocabulary, text, ours, theirs):
    """What of the two masks differs: causes of what only we allow, and the tokens that only it allows. It narrows forced
    text to one token, which a canvas must not do: neighbours may hold another split."""
    if theirs.sum() == 1 and not (theirs & ~ours).any():
        return Counter(), []
    more = [(vocabulary.token_bytes(t) or b"").decode(errors="replace") for t in torch.nonzero(ours & ~theirs).ravel()]
    return Counter(cause(text, token) for token in more), torch.nonzero(theirs & ~ours).ravel().tolist()


NAMES = [name for name in SCHEMAS if name not in ("enum of 3,000", "envelope of 80, all optional", "deep references")]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_we_allow_what_llguidance_allows_and_what_more_we_allow_is_json(part, vocabulary, peer):
    compared = 0
    for name in NAMES[part::3]:
        for text, ours, theirs in steps(SCHEMAS[name], vocabulary, peer, 12):
            more, less = difference(vocabulary, text, ours, theirs)
            assert "" not in more, (name, text, more)
            assert not less, (name, text, [vocabulary.token_bytes(t) for t in less[:5]])
            compared += 1
    assert compared > 80


def main():
    from benchmarks.peers import LLGuidance

    words = generated_vocabulary()
    peer, positions, tokens, count = LLGuidance(words), Counter(), Counter(), Counter()
    for name in NAMES:
        found = list(steps(SCHEMAS[name], words, peer, 14))
        count["schemas" if found else "it cannot read"] += 1
        for text, ours, theirs in found:
            more, less = difference(words, text, ours, theirs)
            count["positions"] += 1
            count["equal"] += not more and not less
            for why, many in (more + Counter({"only it allows": len(less)})).items():
                positions[why] += 1
                tokens[why] += many
                if not why or why.startswith("only"):
                    some = torch.nonzero(theirs & ~ours if why else ours & ~theirs).ravel()[:40:7]
                    print(name, repr(text[-60:]), why, [words.token_bytes(int(t)) for t in some], file=sys.stderr)
    print(dict(count))
    print("| only we allow | positions | tokens |\n|---|---|---|")
    for why, many in positions.most_common():
        print(f"| {why} | {many} | {tokens[why]:,} |")


if __name__ == "__main__":
    main()

"""A vocabulary of real size (262,144 ids) against independent judges: `re`, `jsonschema`, and the texts themselves."""

import json
import random
import re

import jsonschema
import pytest
import torch

import dgemma_constrain as dc
from benchmarks.vocabularies import generated_vocabulary

EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}$"},
        "kind": {"enum": ["created", "deleted", "renamed"]},
        "title": {"type": "string", "maxLength": 30},
        "count": {"type": "integer"},
        "ratio": {"type": ["number", "null"]},
        "tags": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 8},
            "minItems": 1,
            "maxItems": 3,
        },
        "ok": {"type": "boolean"},
    },
    "required": ["id", "kind", "tags"],
    "additionalProperties": False,
}
PATTERNS = {
    "date": r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])",
    "e-mail": r"[a-z0-9._]+@[a-z0-9-]+(\.[a-z]{2,6})+",
    "url": r"https?://[a-z0-9.-]+(/[\w.-]*)*",
    "free text": r"[^\n]{0,200}",
    "password": r"(?=.*\d)(?=.*[A-Z])[A-Za-z\d]{8,40}",
    "not a word": r"(?:(?!the)[a-z ]){10,80}",
}


@pytest.fixture(scope="module")
def vocabulary():
    return generated_vocabulary()


def judged(name: str):
    """The constraint of that name and its judge."""
    if name == "event":
        return dc.json_schema(EVENT), lambda text: jsonschema.validate(json.loads(text), EVENT)

    def judge(text: str) -> None:
        assert re.fullmatch(PATTERNS[name], text), text

    return dc.regex(PATTERNS[name]), judge


@pytest.mark.parametrize("name", ["event", *PATTERNS])
def test_every_completion_is_valid_and_every_hidden_token_is_allowed(name, vocabulary):
    constraint, judge = judged(name)
    compiled = dc.compile(constraint, vocabulary, cache=False)
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    length = 48
    logits = 3 * torch.randn(length, len(vocabulary), generator=generator)
    whole = compiled.canvas(length)
    for trial in range(4):
        ids = whole.sample(logits, 1.0 + trial, generator).ids
        stop = next((i for i, t in enumerate(ids) if t in vocabulary.eos_ids), length)
        judge(vocabulary.decode(ids[:stop]))

        hidden = set(rng.sample(range(length), rng.choice([1, 8, 40])))
        canvas = compiled.canvas(length, {i: t for i, t in enumerate(ids) if i not in hidden})
        allowed = canvas.allowed()
        assert all(allowed[i, ids[i]] for i in range(length))
        assert canvas.choices.tolist() == allowed.sum(1).tolist()
        for other in (canvas.best(logits), canvas.sample(logits, 2.0, generator)):
            assert all(other.ids[i] == t for i, t in enumerate(ids) if i not in hidden)
            assert all(allowed[i, t] for i, t in enumerate(other.ids))
            stop = next((i for i, t in enumerate(other.ids) if t in vocabulary.eos_ids), length)
            judge(vocabulary.decode(other.ids[:stop]))

        i = rng.choice(sorted(hidden))
        refused = torch.nonzero(~allowed[i]).ravel()
        for token in rng.sample(refused.tolist(), min(20, len(refused))):
            assert not canvas.pin(i, token).feasible


def test_the_best_string_is_no_worse_than_any_sample_and_agrees_with_the_marginals(vocabulary):
    compiled = dc.compile(dc.regex(PATTERNS["date"]), vocabulary, cache=False)
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(12, len(vocabulary), generator=generator)
    canvas = compiled.canvas(12)
    best = canvas.best(logits)
    logp = logits.double().log_softmax(-1)
    assert best.score == pytest.approx(float(logp[range(12), best.ids].sum()), abs=1e-3)
    assert all(canvas.sample(logits, generator=generator).score <= best.score + 1e-6 for _ in range(20))
    marginals = canvas.marginals(logits)
    assert torch.allclose(marginals.exp().sum(1), torch.ones(12), atol=1e-4)
    assert torch.equal(marginals > -torch.inf, canvas.allowed())


@pytest.mark.parametrize(
    "pattern", [r"[0-9]{4}-(0[1-9]|1[0-2])", r"[a-z0-9._]+@[a-z0-9-]+(\.[a-z]{2,6})+", r"(a|ab|[^\n]{3})*!"]
)
def test_left_to_right_masks_agree_with_llguidance(pattern, vocabulary):
    """With everything to the left pinned and room to the right, the next position's mask is what a left-to-right engine
    computes for it."""
    pytest.importorskip("llguidance", reason="llguidance is not installed (extra: bench)")
    from benchmarks.cases import Case
    from benchmarks.peers import LLGuidance

    compiled = dc.compile(dc.regex(pattern), vocabulary, cache=False)
    generator = torch.Generator().manual_seed(2)
    ids = compiled.canvas(12).sample(torch.randn(12, len(vocabulary), generator=generator), 1.0, generator).ids
    ids = ids[: next((i for i, t in enumerate(ids) if t in vocabulary.eos_ids), 12)]
    peer = LLGuidance(vocabulary)
    peer.compile(Case("", "regex", pattern, ""))
    peer.start()
    for i, token in enumerate(ids):
        bits = torch.zeros(1, -(-len(vocabulary) // 32), dtype=torch.int32)
        peer.fill(bits, 0)
        theirs = (bits[0, :, None] >> torch.arange(32)).bitwise_and(1).bool().ravel()[: len(vocabulary)]
        ours = compiled.canvas(i + 1, dict(enumerate(ids[:i])), more_tokens=100).allowed(i)
        # It narrows forced text to one canonical token, which a canvas must not do: neighbours may hold another split.
        assert torch.equal(ours, theirs) or (theirs.sum() == 1 and not (theirs & ~ours).any())
        assert peer.advance(token)

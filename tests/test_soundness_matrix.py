"""Hundreds of combinations on the real classes: whatever model, constraint, seed, steps, temperature and canvas, the text that
comes out satisfies its constraint, pinned spans come back byte for byte; and the same check fails without the constraint."""

import json
import random
import re

import jsonschema
import pytest
import torch
from tiny_models import build, diffusion_gemma_with_tokenizer, transformers

import dgemma_constrain as dc
from dgemma_constrain.models.diffusion_gemma import ConstraintProcessor

SCHEMAS = [
    {"type": "object", "properties": {"id": {"type": "integer"}, "ok": {"type": "boolean"}}, "required": ["id"], "additionalProperties": False},
    {"type": "array", "items": {"enum": ["a", 1, None]}, "maxItems": 4},
    {"type": "object", "properties": {"n": {"type": "number", "minimum": 0, "maximum": 9}, "s": {"type": "string", "maxLength": 4}}, "required": ["n", "s"], "additionalProperties": False},
    {"anyOf": [{"type": "integer", "minimum": -50, "maximum": 900}, {"type": "string", "pattern": "^[ab]{2,5}$"}]},
]  # fmt: skip
PATTERNS = [r"[0-9]{4}-[01][0-9]", r"(a|b[ab]){3,}", r"[a-f0-9]{2}(:[a-f0-9]{2}){3}", r"1\.|\.1|01\.10"]
TEMPLATES = [
    ("dear {a}, it is {b}.", {"a": r"[a-z]{2,6}", "b": r"[0-9]{1,3}"}),
    ("{a}-{b}-{a}", {"a": r"x|yy", "b": r"[0-9]+"}),
]
NEGATIVE = ["TODO", "a", "10"]


def constraints():
    """(constraint, a check that knows nothing of it) of every kind."""
    for schema in SCHEMAS:
        yield dc.json_schema(schema), lambda text, s=schema: jsonschema.validate(json.loads(text), s)
    for pattern in PATTERNS:
        yield dc.regex(pattern), lambda text, p=pattern: _true(re.fullmatch(p, text))
    for source, holes in TEMPLATES:
        pattern = re.escape(source)
        for name, hole in holes.items():
            pattern = pattern.replace(re.escape("{%s}" % name), f"(?P<{name}>{hole})", 1)
            pattern = pattern.replace(re.escape("{%s}" % name), f"(?P={name})")
        made = dc.template(source, **{name: dc.regex(hole) for name, hole in holes.items()})
        yield made, lambda text, p=pattern: _true(re.fullmatch(p, text))
    for word in NEGATIVE:
        made = ~dc.contains(word) & dc.regex("[a-z0-9TOD. ]{2,}")
        yield made, lambda text, w=word: _true(w not in text and re.fullmatch("[a-z0-9TOD. ]{2,}", text))


def _true(found) -> None:
    assert found


ALL = list(constraints())


@pytest.fixture(
    scope="module", params=["bert", "modernbert", "llada", "dream", "diffusion_gemma", "diffusion_gemma_mixture"]
)
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param.startswith("diffusion_gemma"):
        diffusion_gemma_with_tokenizer(folder, 4 if "mixture" in request.param else 1)
        return dc.load(str(folder))
    return dc.load(str(folder), **build(request.param, folder))


def settings(rng: random.Random, renoises: bool) -> dict:
    given = dict(
        steps=rng.choice([1, 1, 2, 5]), seed=rng.randrange(1000), length=rng.choice([24, 32, 40, 64]),
        temperature=rng.choice([None, 0.0, 0.5, 1.0, 4.0]),
    )  # fmt: skip
    if not renoises:
        given["schedule"] = rng.choice(["linear", "cosine", "confidence", "entropy", "entropy=2"])
        given["remask"] = rng.choice([0.0, 0.0, 0.4, 0.9])
        given["tail"] = rng.choice(["end", "any"])
    return given


def spelled(model, constraint) -> bool:
    """BERT's tiny vocabulary has no capital letters and no brackets: what it can't spell is no part of the matrix."""
    try:
        return dc.compile(constraint, model.vocabulary).canvas(24).feasible
    except dc.EmptyConstraint:
        return False


@pytest.mark.slow
def test_every_combination_is_valid(model):
    renoises = getattr(model.denoiser, "renoises", False)
    rng, count = random.Random(5), 0
    for round_ in range(8):
        chosen = [one for one in ALL if spelled(model, one[0])]
        given = settings(rng, renoises)
        outputs = model.generate([f"prompt {round_} {k}" for k in range(len(chosen))], [c for c, _ in chosen], **given)
        for out, (constraint, check) in zip(outputs, chosen):
            assert isinstance(out, dc.Output), (out, constraint, given)
            check(out.text)
            assert constraint.matches(out.text)
            count += 1
    assert count >= 56  # of each of the models, six in all


@pytest.mark.slow
def test_pinned_spans_come_back_byte_for_byte(model):
    if model.vocabulary.strips_leading_space:
        pytest.skip("a vocabulary of words spells no text that ends in a space; test_revise pins words in it")
    rng, (source, holes) = random.Random(6), TEMPLATES[0]
    constraint = dc.template(source, **{name: dc.regex(hole) for name, hole in holes.items()})
    encode, renoises = model.vocabulary.encode, getattr(model.denoiser, "renoises", False)
    for _ in range(8):
        name, given = rng.choice(["anna", "bob", "zz"]), settings(rng, renoises)
        head, middle = encode("dear "), encode(name) + encode(", it is ")
        pinned = dict(enumerate(head)) | dict(enumerate(middle, len(head)))
        out = model.generate("p", constraint, pinned=pinned, **given)
        assert out.text.encode().startswith(f"dear {name}, it is ".encode()) and out.fields["a"] == name
        assert all(out.ids[i] == token for i, token in pinned.items())


@pytest.mark.slow
def test_without_the_constraint_the_check_fails(model):
    outputs = model.generate([f"prompt {k}" for k in range(4)], None, length=32, steps=2)
    for _, check in ALL[:10]:
        for out in outputs:
            with pytest.raises((AssertionError, ValueError, jsonschema.ValidationError)):
                check(out.text)


@pytest.mark.slow
def test_the_class_s_own_generate_in_batches_of_four(tmp_path_factory):
    """Static and dynamic cache, one to three canvases, stops on the first step and never."""
    folder = tmp_path_factory.mktemp("matrix")
    diffusion_gemma_with_tokenizer(folder, 4)
    model = dc.load(str(folder))
    network, rng, count = model.denoiser.network, random.Random(7), 0
    compiled = [dc.compile(c, model.vocabulary) for c, _ in ALL]
    ids = torch.tensor([model.vocabulary.encode(p) for p in ("abcd", "wxyz", "1234", "zzzz")])
    for _ in range(16):
        rows, canvases = rng.sample(range(len(ALL)), 4), rng.choice([1, 2, 3])
        stop = rng.choice([{}, dict(stability_threshold=0, confidence_threshold=100.0), dict(t_min=0.1, t_max=3.0)])
        torch.manual_seed(rng.randrange(1000))
        out = network.generate(
            ids, max_new_tokens=32 * canvases, max_denoising_steps=rng.choice([1, 2, 5]), disable_compile=True,
            logits_processor=transformers.LogitsProcessorList(
                [ConstraintProcessor([compiled[k] for k in rows], max_new_tokens=32 * canvases)]
            ),
            cache_implementation=rng.choice(["static", "dynamic"]), **stop,
        )  # fmt: skip
        for k, written in zip(rows, out.sequences[:, ids.shape[1] :].tolist()):
            ALL[k][1](model.vocabulary.decode_bytes(written[: model.vocabulary.text_length(written)]).decode())
            count += 1
    assert count == 64

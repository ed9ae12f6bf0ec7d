"""The real DiffusionGemma class, small and with random weights, through its unchanged `generate`."""

import itertools
import json

import jsonschema
import pytest
import torch
from tiny_models import diffusion_gemma, transformers

import dgemma_constrain as dc
from dgemma_constrain.canvas.posterior import NEVER
from dgemma_constrain.models.diffusion_gemma import ConstraintProcessor

PAD, EOS, BOS, TURN = 0, 1, 2, 3
PIECES = [
    b'"name"',
    b'": ',
    b"true",
    b"false",
    b" the",
    b"ing",
    b"10",
    b"2026",
    b"-0",
    b'",',
    b"\xc3",
    b"\xa9",
    b"a",
    b"b",
]
TOKENS = [None] * 4 + [bytes([b]) for b in range(256)] + PIECES
SIZE = len(TOKENS) + 6  # a model pads its vocabulary
SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "ok": {"type": "boolean"}},
    "required": ["id", "ok"],
    "additionalProperties": False,
}
CONSTRAINTS = {
    "schema": (dc.json_schema(SCHEMA), lambda text: jsonschema.validate(json.loads(text), SCHEMA)),
    "date": (dc.regex(r"[0-9]{4}-[01][0-9](-[0-3][0-9])?"), None),
    "joint": (dc.choice(["1.", ".1", "10", "01.10"]), None),
    "template": (dc.template("Dear {name},\n{n}!", name=dc.regex("[a-z]{1,4}"), n=dc.regex("[0-9]+")), None),
    "not": (dc.regex("[ab ]{1,30}") & ~dc.contains("ab"), None),
}


@pytest.fixture(scope="module")
def vocabulary():
    return dc.Vocabulary(TOKENS + [None] * 6, eos_id=[EOS, TURN], pad_id=PAD)


@pytest.fixture(scope="module", params=[1, 4], ids=["one expert", "mixture"])
def model(request, tmp_path_factory):
    """Saved and loaded as any checkpoint is."""
    folder = tmp_path_factory.mktemp("diffusion_gemma")
    diffusion_gemma(folder, SIZE, request.param, pad=PAD, eos=EOS, bos=BOS)
    return transformers.DiffusionGemmaForBlockDiffusion.from_pretrained(folder).eval()


def write(model, processors, prompts, seed=0, steps=3, **options):
    torch.manual_seed(seed)
    options = dict(max_new_tokens=32, eos_token_id=[EOS, TURN], pad_token_id=PAD) | options
    out = model.generate(
        torch.tensor(prompts),
        logits_processor=transformers.LogitsProcessorList(processors),
        max_denoising_steps=steps,
        disable_compile=True,
        **options,
    )
    return out.sequences[:, len(prompts[0]) :].tolist()


def text_of(vocabulary, ids) -> str:
    return vocabulary.decode_bytes(ids[: vocabulary.text_length(ids)]).decode()  # strictly: a text is whole characters


def check(name, text):
    constraint, also = CONSTRAINTS[name]
    assert constraint.matches(text), (name, text)
    if also is not None:
        also(text)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_every_text_satisfies_its_constraint(model, vocabulary, name):
    processor = ConstraintProcessor(dc.compile(CONSTRAINTS[name][0], vocabulary))
    for seed, steps, canvases in itertools.product(range(3), (1, 3), (1, 2)):
        processor.max_new_tokens = 32 * canvases
        [ids] = write(model, [processor], [[BOS, 10, 20 + seed]], seed, steps, max_new_tokens=32 * canvases)
        check(name, text_of(vocabulary, ids))


def test_without_the_processor_the_check_fails(model, vocabulary):
    texts = []
    for seed in range(8):
        [ids] = write(model, [], [[BOS, 10, 20 + seed]], seed)
        texts.append(vocabulary.decode(ids[: vocabulary.text_length(ids)]))
    assert not any(CONSTRAINTS["schema"][0].matches(text) for text in texts)


@pytest.mark.parametrize(
    "options", [dict(stability_threshold=0, confidence_threshold=100.0), dict(t_min=0.1, t_max=5.0)]
)
def test_whichever_step_stops_it(model, vocabulary, options):
    processor = ConstraintProcessor(dc.compile(CONSTRAINTS["joint"][0], vocabulary))
    for seed in range(10):
        [ids] = write(model, [processor], [[BOS, 10]], seed, 8, **options)
        check("joint", text_of(vocabulary, ids))


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_a_row_of_its_own_for_each_constraint_or_none(model, vocabulary, cache):
    names = ["schema", "date", None, "not"]
    compiled = [None if n is None else dc.compile(CONSTRAINTS[n][0], vocabulary) for n in names]
    prompts = [[BOS, 10, 20], [PAD, BOS, 30], [BOS, 40, 50], [PAD, BOS, 60]]
    processor = ConstraintProcessor(compiled, max_new_tokens=96)
    for seed in range(3):
        rows = write(model, [processor], prompts, seed, max_new_tokens=96, cache_implementation=cache)
        for name, ids in zip(names, rows):
            if name is not None:
                check(name, text_of(vocabulary, ids))


def test_a_text_over_several_canvases(model, vocabulary):
    constraint = dc.regex("(a|b[ab]){40,}x")
    processor = ConstraintProcessor(dc.compile(constraint, vocabulary), max_new_tokens=96)
    longest = 0
    for seed in range(4):
        [ids] = write(model, [processor], [[BOS, 10]], seed, max_new_tokens=96)
        assert constraint.matches(text_of(vocabulary, ids))
        longest = max(longest, vocabulary.text_length(ids))
    assert longest > 32


def test_scores_are_finite_and_the_best_string_leads(vocabulary):
    compiled = dc.compile(CONSTRAINTS["joint"][0], vocabulary)
    ids = torch.tensor([[BOS, 10]])
    for seed, kind in itertools.product(range(20), (torch.float32, torch.bfloat16)):
        scores = torch.randn(1, 8, SIZE, generator=torch.Generator().manual_seed(seed)).mul(4).to(kind)
        out = ConstraintProcessor(compiled)(ids, scores, cur_step=torch.tensor(3))
        assert out.isfinite().all() and out.min() == NEVER and out.dtype == kind
        best = compiled.canvas(8, tail="any").best(scores[0])
        for temperature in (0.1, 0.4, 0.8, 3.0):
            assert vocabulary.decode((out / temperature).argmax(-1)[0][: vocabulary.text_length(best.ids)]) == (
                vocabulary.decode(best.ids[: vocabulary.text_length(best.ids)])
            )
        exact = compiled.canvas(8, tail="any").marginals(scores[0])
        others = torch.ones_like(exact, dtype=torch.bool).scatter_(1, torch.tensor(best.ids)[:, None], False)
        assert torch.equal(out[0][others], exact[others].clamp_min(NEVER).to(kind))


def test_a_row_that_cannot_be_met_fails_alone(model, vocabulary):
    long = dc.compile(dc.regex("[ab]{500}"), vocabulary)
    short = dc.compile(CONSTRAINTS["date"][0], vocabulary)
    processor = ConstraintProcessor([short, long, short])
    rows = write(model, [processor], [[BOS, 10], [BOS, 20], [BOS, 30]])
    assert list(processor.failed) == [1]
    assert "tokens are needed" in str(processor.failed[1])
    check("date", text_of(vocabulary, rows[0]))
    check("date", text_of(vocabulary, rows[2]))
    with pytest.raises(dc.Infeasible, match="tokens are needed"):
        write(model, [ConstraintProcessor(long)], [[BOS, 10]])


def test_what_does_not_fit_is_said(vocabulary):
    compiled = dc.compile(dc.literal("a"), vocabulary)
    ids = torch.tensor([[BOS, 10]])
    with pytest.raises(dc.ConstraintError, match="compile"):
        ConstraintProcessor(dc.literal("a"))
    with pytest.raises(dc.ConstraintError, match="max_new_tokens"):
        ConstraintProcessor(compiled, max_new_tokens=0)
    with pytest.raises(dc.ConstraintError, match="causal"):
        ConstraintProcessor(compiled)(ids, torch.zeros(1, SIZE))
    with pytest.raises(dc.VocabularyError, match=f"size={SIZE + 1}"):
        ConstraintProcessor(compiled)(ids, torch.zeros(1, 8, SIZE + 1))
    with pytest.raises(dc.ConstraintError, match="batch of 1"):
        ConstraintProcessor([compiled, None])(ids, torch.zeros(1, 8, SIZE))

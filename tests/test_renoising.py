"""DiffusionGemma by our own loop: the class's own numbers, and what the class can't do (pins, traces, drafts, cancelling)."""

import itertools
import json
import threading

import jsonschema
import pytest
import torch
from tiny_models import diffusion_gemma_with_tokenizer, transformers

import dgemma_constrain as dc
from dgemma_constrain.diffusion import renoise
from dgemma_constrain.diffusion.denoiser import Look
from dgemma_constrain.diffusion.schedules import linear
from dgemma_constrain.diffusion.settings import Settings
from dgemma_constrain.diffusion.together import run
from dgemma_constrain.models.contexts import Contexts
from dgemma_constrain.models.diffusion_gemma import ConstraintProcessor

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}},
    "required": ["n", "ok"],
    "additionalProperties": False,
}
PROMPTS = ["a", "a longer prompt", "", "xyz"]


@pytest.fixture(scope="module", params=[1, 4], ids=["one expert", "mixture"])
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("diffusion_gemma")
    diffusion_gemma_with_tokenizer(folder, request.param)
    return str(folder)


@pytest.fixture(scope="module")
def model(folder):
    return dc.load(folder)


def by_the_class(model, prompt, processors, seed, steps, canvases=1, **options):
    """What the class's own `generate` writes after the same prompt."""
    ids, _ = model.denoiser.frame(prompt)
    torch.manual_seed(seed)
    out = model.denoiser.network.generate(
        torch.tensor([ids]), logits_processor=transformers.LogitsProcessorList(processors),
        max_denoising_steps=steps, max_new_tokens=32 * canvases, disable_compile=True, **options,
    )  # fmt: skip
    return out.sequences[0, len(ids) :].tolist()


@pytest.mark.parametrize("options", [{}, dict(stability_threshold=0, confidence_threshold=2.0)])
def test_without_a_constraint_it_is_the_class_s_own_generate(folder, options):
    names = {"stability_threshold": "stability", "confidence_threshold": "confidence"}
    model = dc.load(folder, **{names[name]: value for name, value in options.items()})
    settings = Settings(6, None, linear, 0.0, "any", 0, None, None)
    for seed in range(6):
        before, written = model.denoiser.frame("abc")[0], []
        generator = torch.Generator().manual_seed(seed)
        for canvas in range(2):
            row = renoise.fill(model.denoiser, None, before + written, [], settings, generator, 32 * canvas)
            [(ids, _, _)] = run(model.denoiser, [row])
            written += ids
            if set(ids) & set(model.vocabulary.eos_ids):
                break
        assert written == by_the_class(model, "abc", [], seed, 6, 2, **options)


@pytest.mark.parametrize("canvases", [1, 2])
def test_with_a_constraint_it_is_the_class_with_the_processor(model, canvases):
    constraint = dc.regex("(a|b[ab]){20,}x")
    compiled = dc.compile(constraint, model.vocabulary)
    for seed in range(4):
        processor = ConstraintProcessor(compiled, max_new_tokens=32 * canvases)
        out = model.generate("abc", constraint, length=32 * canvases, steps=5, seed=seed)
        assert constraint.matches(out.text)
        theirs = by_the_class(model, "abc", [processor], seed, 5, canvases)
        assert out.ids == theirs[: len(out.ids)]


class Halved(ConstraintProcessor):
    """Gets, and so gives, bfloat16: the class itself makes float32 of whatever its weights are in."""

    def __call__(self, input_ids, scores, cur_step=None):
        assert scores.dtype == torch.float32
        out = super().__call__(input_ids, scores.bfloat16(), cur_step)
        assert out.dtype == torch.bfloat16
        return out


@pytest.mark.parametrize("kind", [ConstraintProcessor, Halved])
def test_weights_and_scores_in_bfloat16(folder, kind):
    """Whatever is rounded, the argmax is still the best string, by itself and after the temperature."""
    model = dc.load(folder, dtype="bfloat16")
    for constraint in (dc.regex("(a|b[ab]){20,}x"), dc.json_schema(SCHEMA), dc.choice(["1.", ".1", "10", "01.10"])):
        compiled = dc.compile(constraint, model.vocabulary)
        for seed, stop in itertools.product(range(4), ({}, dict(stability_threshold=0, confidence_threshold=100.0))):
            processor = kind(compiled, max_new_tokens=64)
            theirs = by_the_class(model, "abc", [processor], seed, 5, 2, **stop)
            assert constraint.matches(model.vocabulary.decode(theirs[: model.vocabulary.text_length(theirs)]))
            if not stop and kind is ConstraintProcessor:
                ours = model.generate("abc", constraint, length=64, steps=5, seed=seed).ids
                assert ours == theirs[: len(ours)]


def test_every_text_satisfies_its_constraint(model):
    schema, date = dc.json_schema(SCHEMA), dc.regex("[0-9]{4}-[01][0-9]")
    for seed in range(3):
        for steps, temperature, length in ((1, None, 32), (4, 0.0, 40), (6, 1.5, 64)):
            given = dict(length=length, steps=steps, temperature=temperature, seed=seed)
            assert date.matches(model.generate("when?", date, **given).text)
            out = model.generate("json", schema, **given)
            jsonschema.validate(out.value, SCHEMA)
            assert out.value == json.loads(out.text)


def test_a_length_within_a_canvas_is_kept(model):
    constraint = dc.regex("[a-z ]*")
    for length in (0, 1, 7, 33, 50):
        out = model.generate("p", constraint, length=length, steps=2)
        assert len(out.ids) <= length and constraint.matches(out.text)
    for length, has in ((5, "5"), (39, "32 and 7 more")):  # within the first canvas, and within the second
        with pytest.raises(dc.Infeasible, match=f"at least 40 tokens are needed, but the canvas has {has}"):
            model.generate("p", dc.regex("[xyz]{40}"), length=length, steps=2)
    with pytest.raises(dc.Infeasible, match="at least 999 tokens, and 480 have room"):
        model.generate("p", dc.regex("[xyz]{999}"), length="auto")
    assert len(model.generate("p", dc.regex("[xyz]{40}"), length=40, steps=2).text) == 40


def test_pinned_spans_stay(model):
    template = dc.template("Dear {name},\n{body}\nYours", name=dc.regex("[A-Z][a-z]+"), body=dc.regex("[a-z ]{5,}"))
    v = model.vocabulary
    for seed in range(3):
        pinned = dict(enumerate(v.encode("Dear "))) | dict(enumerate(v.encode("the end"), 40))
        out = model.generate("p", template, length=64, steps=3, seed=seed, pinned=pinned)
        assert template.matches(out.text) and all(out.ids[i] == t for i, t in pinned.items())
        assert out.fields["body"] and out.text.startswith("Dear ")


def test_infilling_weighs_all_lengths_at_once(model):
    constraint = dc.regex("[0-9]{1,6}")
    lengths = set()
    for seed in range(8):
        out = model.infill(f"total {seed}", " items", constraint=constraint, steps=3, seed=seed)
        assert constraint.matches(out.text)
        lengths.add(len(out.text))
    assert len(lengths) > 1
    named = model.infill("x = ", "\n" * 40 + "z" * 40, constraint=dc.regex("(?P<a>[a-z]+)[0-9]"), steps=2)
    assert named.fields["a"] == named.text[:-1]
    assert len(model.infill("total ", " items", dc.regex("[0-9]+"), length=3, steps=2).text) <= 3


def test_drafts_are_whole_texts_and_cancelling_stops(model):
    constraint, drafts, cancel = dc.regex("[a-z]{3,20}[0-9]"), [], threading.Event()

    def on_step(step):
        drafts.append(model.vocabulary.decode(step.proposal[: model.vocabulary.text_length(step.proposal)]))
        if len(drafts) == 3:
            cancel.set()

    with pytest.raises(dc.Cancelled):
        model.generate("p", constraint, length=32, steps=9, on_step=on_step, cancel=cancel)
    assert len(drafts) == 3 and all(constraint.matches(draft) for draft in drafts)


def test_a_trace_tells_what_was_accepted(model):
    out = model.generate(
        "p", dc.regex("[a-c]{3,20}[0-9]"), length=32, steps=6, trace=True, pinned={2: model.vocabulary.encode("b")[0]}
    )
    assert 1 <= len(out.trace.steps) <= 6
    held = set()
    for step in out.trace.steps:
        now = {i for i, t in enumerate(step.canvas) if t is not None}
        assert held - now == set(step.remasked) and now - held <= {*step.committed, 2}
        assert 2 in now and all(rows and rows[0][1] > 0 for rows in step.alternatives)
        held = now


@pytest.mark.parametrize("options", [dict(steps=4), dict(steps=3, candidates=2), dict(steps=4, temperature=0.0)])
def test_rows_are_what_each_would_be_alone(model, options):
    constraints = [dc.json_schema(SCHEMA), dc.regex("[a-z]{40,60}"), dc.choice(["yes", "no"]), dc.literal("x" * 200)]
    together = model.generate(PROMPTS, constraints, length=64, **options)
    for prompt, constraint, out in zip(PROMPTS[:3], constraints, together):
        alone = model.generate(prompt, constraint, length=64, **options)
        assert (out.text, out.ids) == (alone.text, alone.ids)
    assert isinstance(together[3], dc.Infeasible)


@pytest.fixture
def read(monkeypatch):
    """The shapes of what the encoder has read."""
    shapes, whole = [], Contexts._read
    monkeypatch.setattr(
        Contexts, "_read", lambda self, ids, begin: (shapes.append(tuple(ids.shape)), whole(self, ids, begin))
    )
    return shapes


def test_contexts_are_encoded_once_and_give_the_same_logits(model, read):
    denoiser = model.denoiser
    contexts = [denoiser.frame(p)[0] for p in PROMPTS]
    generator = torch.Generator().manual_seed(0)
    canvas = torch.randint(0, len(model.vocabulary), (32,), generator=generator)
    some = denoiser.look([Look(c, canvas, None, 0) for c in contexts])
    fewer = denoiser.look([Look(c, canvas, None, 0) for c in contexts[2:]])
    assert len(read) == 1
    grown = [c + list(range(4, 36)) for c in contexts]
    feedback = torch.randn(32, len(model.vocabulary), generator=generator)
    longer = denoiser.look([Look(c, canvas, feedback if k else None, 32) for k, c in enumerate(grown)])
    assert read[1:] == [(4, 32)]
    longest = [grown[k] + list(range(40, 72)) for k in (3, 1)]  # the others have ended, and these changed places
    more = denoiser.look([Look(c, canvas, feedback, 64) for c in longest])
    assert read[2:] == [(2, 32)]
    for k, context in enumerate(contexts):
        [alone] = denoiser.look([Look(context, canvas, None, 0)])
        assert torch.allclose(alone, some[k], atol=1e-3) and (k < 2 or torch.allclose(alone, fewer[k - 2], atol=1e-3))
        [alone] = denoiser.look([Look(grown[k], canvas, feedback if k else None, 32)])
        assert torch.allclose(alone, longer[k], atol=1e-3)
    for context, theirs in zip(longest, more):
        [alone] = denoiser.look([Look(context, canvas, feedback, 64)])
        assert torch.allclose(alone, theirs, atol=1e-3)
    denoiser.look([Look(contexts[0], canvas, None, 0)] * 3)
    assert read[-1] == (3, len(contexts[0]))


@pytest.mark.parametrize("where", ["model.encoder", "model.decoder"])
def test_where_memory_runs_out_rows_go_on_in_parts_and_are_encoded_once_more(model, read, monkeypatch, where):
    prompts, constraint = [*PROMPTS, "another"], dc.regex("(a|b[ab]){40,}x")
    options = dict(length=96, steps=3, seed=1)
    expected = [out.text for out in model.generate(prompts, constraint, **options)]
    part, sizes = model.denoiser.network.get_submodule(where), []
    forward = part.forward

    def scarce(*arguments, **given):
        ids = given.get("input_ids", given.get("decoder_input_ids"))
        sizes.append(len(ids))
        if len(ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return forward(*arguments, **given)

    monkeypatch.setattr(part, "forward", scarce)
    read.clear()
    outputs = model.generate(prompts, constraint, **options)
    assert [out.text for out in outputs] == expected
    assert [size for size in sizes if size > 2] == [5, 3]  # what did not fit is not tried again
    first = [shape for shape in read if shape[1] != 32]
    assert [rows for rows, _ in first] == [5, 2, 3, 1, 2]
    assert sum(rows for rows, n in read if n == 32) <= 2 * 5  # then canvases only, each once

    monkeypatch.setattr(part, "forward", lambda *a, **k: scarce(*a, **k | dict(zip(["input_ids"], [[0] * 9]))))
    failed = model.generate(prompts, constraint, **options)
    assert all(isinstance(out, dc.LimitExceeded) and "memory" in str(out) for out in failed)


def test_what_it_does_not_take_is_said(model, folder):
    with pytest.raises(dc.ConstraintError, match="no schedule and no remask"):
        model.generate("p", schedule="cosine")
    with pytest.raises(dc.ConstraintError, match="shorten the prompt"):
        model.generate("p" * 600)
    with pytest.raises(dc.ConstraintError, match="do not fit: 4.. are left"):
        model.generate("p" * 40, length=500)
    with pytest.raises(dc.ConstraintError, match="'shift' is nothing"):
        dc.load(folder, shift=True)
    assert dc.load(folder, entropy_bound=0.5).denoiser.sampling.entropy_bound == 0.5


CHAT = "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}<turn>{% endfor %}<s>model{{ '\\n' }}"
SPECIALS = ("<s>", "</s>", "<pad>", "<mask>", "<turn>", "<|channel>", "<channel|>")


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    """A model with a chat template, whose answers end with </s> or <turn> and may begin with a channel."""
    folder = tmp_path_factory.mktemp("chat")
    diffusion_gemma_with_tokenizer(folder, specials=SPECIALS, chat_template=CHAT)
    return str(folder)


@pytest.mark.parametrize("header", [("<channel|>", "<|channel>"), ("<channel|>", None)])
def test_a_chat_model_may_think_before_it_answers(chat, header):
    constraint = dc.json_schema(SCHEMA)
    model = dc.load(chat, header=header, eos_id=[1, 4])
    tokenizer = transformers.AutoTokenizer.from_pretrained(chat)
    assert tokenizer.decode(model.denoiser.frame("hi")[0]) == "<s>user\nhi<turn><s>model\n"
    end, start = (tokenizer.convert_tokens_to_ids(t) if t else None for t in header)
    compiled = dc.compile(constraint, model.vocabulary).behind_header(end, start)
    with_header = 0
    for seed in range(8):
        processor = ConstraintProcessor(compiled, max_new_tokens=64)
        theirs = by_the_class(model, "hi", [processor], seed, 3, 2, eos_token_id=[1, 4])
        out = model.generate("hi", constraint, length=64, steps=3, seed=seed)
        assert out.ids == theirs[: len(out.ids)]
        text = theirs[: model.vocabulary.text_length(theirs)]
        assert (start is None and end in text) or (end in text) == (text[0] == start)
        with_header += end in text
        answer = text[text.index(end) + 1 :] if end in text else text
        jsonschema.validate(json.loads(model.vocabulary.decode(answer)), SCHEMA)
        assert out.text == model.vocabulary.decode(answer)
    assert with_header
    with pytest.raises(dc.ConstraintError, match="'<nothing>', which is no token"):
        dc.load(chat, header=("<nothing>", None))
    assert (
        dc.load(chat, header=(1, None)).generate(["hi"], constraint)[0].args[0].startswith("end_id must be a special")
    )

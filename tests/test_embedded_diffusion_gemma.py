"""The tiny checkpoint of the real DiffusionGemma class: loaded by name, it writes what its constraint allows."""

import json

import jsonschema
import pytest
import torch

import dgemma_constrain as dc
from dgemma_constrain.models.diffusion_gemma import ConstraintProcessor
from dgemma_constrain.models.embedded.prompts import choice_prompt, record_prompt

transformers = pytest.importorskip("transformers", minversion="5.13")

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model():
    return dc.load("embedded:diffusion-gemma")


def test_it_is_the_real_class(model):
    assert type(model.denoiser.network) is transformers.DiffusionGemmaForBlockDiffusion
    assert model is dc.load("embedded:diffusion-gemma")


@pytest.mark.parametrize("seed", range(2))
def test_it_writes_what_a_schema_allows(model, seed):
    out = model.generate(record_prompt(SCHEMA, "Anna is 34."), dc.json_schema(SCHEMA), steps=4, seed=seed)
    jsonschema.validate(out.value, SCHEMA)


def test_its_own_generate_takes_the_processor(model):
    denoiser = model.denoiser
    before, _ = denoiser.frame(choice_prompt(["sports", "billing"], "The team won the match."))
    processor = ConstraintProcessor(dc.compile(dc.choice(["sports", "billing"]), model.vocabulary))
    torch.manual_seed(0)
    out = denoiser.network.generate(
        torch.tensor([before]),
        logits_processor=transformers.LogitsProcessorList([processor]),
        max_denoising_steps=3,
        max_new_tokens=denoiser.block,
        eos_token_id=list(model.vocabulary.eos_ids),
        pad_token_id=model.vocabulary.pad_id,
        disable_compile=True,
    )
    ids = out.sequences[0, len(before) :].tolist()
    assert model.vocabulary.decode(ids[: model.vocabulary.text_length(ids)]) in ("sports", "billing")


def test_it_has_learnt_the_form_of_a_record(model):
    """Not more than that: see MODEL_CARD.md."""
    denoiser = model.denoiser
    before, _ = denoiser.frame(record_prompt(SCHEMA, "Anna is 34."))
    canvas = torch.randint(5, 8000, (1, denoiser.block), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = denoiser.network(input_ids=torch.tensor([before]), decoder_input_ids=canvas).logits[0]
    assert model.vocabulary.decode([int(logits[0].argmax())]).startswith("{")


def test_json_is_what_comes_out():
    out = dc.load("embedded:diffusion-gemma").generate("json {a: integer}\na is 3", dc.json_schema({"const": {"a": 3}}), steps=2)
    assert json.loads(out.text) == {"a": 3}

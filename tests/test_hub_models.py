"""Masked language models of transformers' own classes, small, with random weights, saved and loaded as any checkpoint is."""

import json
import sys

import jsonschema
import pytest
import torch
from tiny_models import build, byte_tokenizer, diffusion_gemma_with_tokenizer, transformers

import dgemma_constrain as dc
from dgemma_constrain.models.masked import MaskedModel

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}},
    "required": ["n", "ok"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module", params=["bert", "modernbert", "llada", "dream"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return dc.load(str(folder), **build(request.param, folder))


def test_every_text_satisfies_its_constraint(model):
    date, free = dc.regex("[0-9]{4}-[01][0-9]"), dc.regex("[a-z0-9]{1,12}") & ~dc.contains("a")
    schema = dc.json_schema(SCHEMA)
    for seed in range(3):
        for steps, temperature, length in ((1, 0.0, 24), (4, 1.0, 24), (12, 0.5, 40)):
            given = dict(length=length, steps=steps, temperature=temperature, seed=seed)
            assert date.matches(model.generate("when?", constraint=date, **given).text)
            assert free.matches(model.generate("what?", constraint=free, remask=0.3, **given).text)
            out = model.generate("json", constraint=schema, **given)
            jsonschema.validate(json.loads(out.text), SCHEMA)
            assert out.value == json.loads(out.text)


def test_infilling(model):
    out = model.infill("total 1", "0 items", constraint=dc.regex("[0-9]{1,6}"))
    assert out.text.isdecimal()


def test_what_a_config_tells(tmp_path):
    dc_model = dc.load(str(tmp_path), **build("dream", tmp_path))
    assert dc_model.denoiser.shift and dc_model.denoiser.context_length == 256 and dc_model.vocabulary.mask_id == 3
    assert dc.load(str(tmp_path), trust_remote_code=True, shift=False, context_length=64).denoiser.context_length == 64
    with pytest.raises(dc.ConstraintError, match="'header' is nothing"):
        dc.load(str(tmp_path), trust_remote_code=True, header=(1, None))


def test_shifted_logits_are_those_of_the_position_before(tmp_path):
    plain = dc.load(str(tmp_path), **build("dream", tmp_path), shift=False)
    shifted = dc.load(str(tmp_path), trust_remote_code=True)
    ids = torch.randint(4, 250, (2, 20))
    assert torch.equal(shifted.denoiser.logits(ids, 5, 12), plain.denoiser.logits(ids, 4, 11))


def test_a_function_is_a_model():
    vocabulary = dc.Vocabulary([None] * 3 + [bytes([b]) for b in range(97, 123)], eos_id=0, pad_id=1, mask_id=2)

    def network(ids):  # wants the alphabet from a on
        return torch.nn.functional.one_hot((ids.cumsum(1) * 0 + torch.arange(ids.shape[1])) % 26 + 3, 29).float() * 9

    model = dc.Model(MaskedModel(network, vocabulary, context_length=40))
    assert model.generate("", constraint=dc.regex("[a-z]{6}"), length=6).text == "abcdef"
    assert model.generate("", constraint=dc.regex("[b-z]{6}"), length=6).text[1:] == "bcdef"


def test_what_is_no_masked_model_is_said(tmp_path):
    byte_tokenizer(tmp_path)
    config = transformers.GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=300)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    with pytest.raises(dc.ConstraintError, match="causal"):
        dc.load(str(tmp_path))
    with pytest.raises(dc.ConstraintError, match="nothing': there is no such folder"):
        dc.load(str(tmp_path / "nothing"))


def test_what_cannot_be_loaded_is_said_in_one_line(tmp_path, monkeypatch):
    def says(match, kind=dc.ConstraintError, **options):
        with pytest.raises(kind, match=match) as caught:
            dc.load(str(tmp_path), **options)
        assert "\n" not in str(caught.value)

    says("cannot load .*model_type")
    build("modernbert", tmp_path)
    says("cannot load .*AssertionError|cannot load .*RuntimeError|cannot load .*AcceleratorError", device="cuda:99")
    says("'float7' is none of torch's", dtype="float7")
    with monkeypatch.context() as patched:
        patched.setattr(torch.nn.Module, "to", lambda *_: torch.empty(1 << 46))
        says("does not fit into memory", dc.LimitExceeded)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:3000])
    says("cannot load .*SafetensorError")
    (tmp_path / "tokenizer.json").write_text("{}")
    says("cannot load .*KeyError")
    (tmp_path / "config.json").write_text("{")
    says("cannot load .*JSON")


def test_a_causal_model_with_code_of_its_own_is_found_out(tmp_path):
    build("llada", tmp_path)
    code = (tmp_path / "modeling_own.py").read_text()
    attention = "self.layer(self.embed(input_ids))"
    assert attention in code
    causal = (
        "self.layer(self.embed(input_ids), torch.nn.Transformer.generate_square_subsequent_mask(input_ids.shape[1]))"
    )
    (tmp_path / "modeling_own.py").write_text(code.replace(attention, causal))
    with pytest.raises(dc.ConstraintError, match="looks only backwards"):
        dc.load(str(tmp_path), trust_remote_code=True)


@pytest.mark.parametrize("kind", ["modernbert", "diffusion_gemma"])
def test_a_tokenizer_that_does_not_fit_is_said(tmp_path, kind):
    if kind == "modernbert":
        build(kind, tmp_path)
    else:
        diffusion_gemma_with_tokenizer(tmp_path)
    byte_tokenizer(tmp_path, ("<s>", "</s>", "<pad>", "<mask>", *(f"<{k}>" for k in range(50))))
    with pytest.raises(dc.VocabularyError, match="don't belong together"):
        dc.load(str(tmp_path))


def test_what_is_too_long_or_too_short_is_said(model):
    with pytest.raises(dc.ConstraintError, match="shorten the prompt"):
        model.generate("a " * 300)
    with pytest.raises(dc.Infeasible, match="at least 9 tokens are needed, but the canvas has 8"):
        model.generate("a", dc.literal("x" * 9), length=8)


def test_code_is_run_only_if_asked_to(tmp_path):
    build("llada", tmp_path)
    with pytest.raises(dc.ConstraintError, match="trust_remote_code"):
        dc.load(str(tmp_path))


def test_without_a_mask_id(tmp_path):
    build("modernbert", tmp_path)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (tmp_path / name).exists():
            said = json.loads((tmp_path / name).read_text())
            said.pop("mask_token", None)
            (tmp_path / name).write_text(json.dumps(said))
    with pytest.raises(dc.ConstraintError, match="mask_id"):
        dc.load(str(tmp_path))
    assert dc.load(str(tmp_path), mask_id=3).vocabulary.mask_id == 3


def test_a_network_that_does_not_fit():
    vocabulary = dc.Vocabulary([b"a", None, None], eos_id=1, mask_id=2)
    with pytest.raises(dc.ConstraintError, match="denoiser gives"):
        dc.Model(MaskedModel(lambda ids: torch.zeros(1, 2), vocabulary)).generate("", constraint="a", length=2)
    with pytest.raises(dc.VocabularyError, match="mask id"):
        MaskedModel(lambda ids: ids, dc.Vocabulary([b"a", None], eos_id=1))
    with pytest.raises(dc.ConstraintError, match="shorten the prompt"):
        dc.Model(MaskedModel(lambda ids: ids, vocabulary, context_length=8)).generate("a" * 9, constraint="a")


def test_without_transformers_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(dc.ConstraintError, match="pip install"):
        dc.load("some/model")

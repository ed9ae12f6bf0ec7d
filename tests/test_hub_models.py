"""Masked language models of transformers' own classes, small, with random weights, saved and loaded as any checkpoint is."""

import json

import jsonschema
import pytest
import torch

import dgemma_constrain as dc
from dgemma_constrain.models.masked import MaskedModel

transformers = pytest.importorskip("transformers")

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}},
    "required": ["n", "ok"],
    "additionalProperties": False,
}

# A module shaped like LLaDA or Dream: a bidirectional transformer that comes with its own code. `shift` makes it Dream.
CODE = '''
import torch
from transformers import PreTrainedModel, PretrainedConfig
from transformers.modeling_outputs import MaskedLMOutput

class Config(PretrainedConfig):
    model_type = "{kind}"
    def __init__(self, vocab_size=300, mask_token_id=3, max_sequence_length=256, **kwargs):
        self.vocab_size, self.mask_token_id, self.max_sequence_length = vocab_size, mask_token_id, max_sequence_length
        super().__init__(**kwargs)

class Model(PreTrainedModel):
    config_class = Config
    def __init__(self, config):
        super().__init__(config)
        self.embed = torch.nn.Embedding(config.vocab_size, 32)
        self.layer = torch.nn.TransformerEncoderLayer(32, 2, 64, batch_first=True, dropout=0.0)
        self.head = torch.nn.Linear(32, config.vocab_size)
        self.post_init()
    def forward(self, input_ids, **unused):
        return MaskedLMOutput(logits=self.head(self.layer(self.embed(input_ids))) * 8)
'''


def byte_tokenizer(folder, specials=("<s>", "</s>", "<pad>", "<mask>")):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*specials, *letters, "tr", "ue", "Ġt"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("t", "r"), ("u", "e"), ("Ġ", "t")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", mask_token="<mask>"
    )
    wrapped.save_pretrained(folder)
    return wrapped


def word_piece_tokenizer(folder):
    letters = '{}":,0123456789abcdefghijklmnopqrstuvwxyz-.'
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters), "true", "false", "the"]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    tokenizer = transformers.BertTokenizerFast(vocab={token: i for i, token in enumerate(tokens)}, do_lower_case=True)
    tokenizer.save_pretrained(folder)
    return tokenizer


def custom(folder, kind):
    byte_tokenizer(folder)
    (folder / "modeling_own.py").write_text(CODE.replace("{kind}", kind))
    (folder / "config.json").write_text(
        json.dumps({
            "model_type": kind, "architectures": ["Model"], "vocab_size": 300, "mask_token_id": 3,
            "auto_map": {"AutoConfig": "modeling_own.Config", "AutoModel": "modeling_own.Model"},
        })
    )  # fmt: skip
    torch.manual_seed(0)
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=True)
    transformers.AutoModel.from_config(config, trust_remote_code=True).save_pretrained(folder)


def build(kind, folder):
    torch.manual_seed(0)
    if kind in ("llada", "dream"):
        custom(folder, kind)
        return dict(trust_remote_code=True)
    sizes = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    if kind == "bert":
        size = len(word_piece_tokenizer(folder))
        config = transformers.BertConfig(vocab_size=size, max_position_embeddings=128, **sizes)
    else:
        size = len(byte_tokenizer(folder)) + 5  # padded, as many are
        config = transformers.ModernBertConfig(
            vocab_size=size, max_position_embeddings=256, pad_token_id=2, eos_token_id=1, bos_token_id=0,
            cls_token_id=0, sep_token_id=1, **sizes,
        )  # fmt: skip
    transformers.AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
    return {}


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
    with pytest.raises(dc.ConstraintError, match="cannot load"):
        dc.load(str(tmp_path / "nothing"))


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

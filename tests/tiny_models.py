"""The real model classes, small and with random weights, saved as any checkpoint is."""

import json

import pytest
import torch

transformers = pytest.importorskip("transformers", minversion="5.13")

# A module shaped like LLaDA or Dream: a bidirectional transformer that comes with its own code. `shift` makes it Dream.
CODE = """
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
"""


def byte_tokenizer(folder, specials=("<s>", "</s>", "<pad>", "<mask>"), chat_template=None):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*specials, *letters, "tr", "ue", "Ġt"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("t", "r"), ("u", "e"), ("Ġ", "t")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", mask_token="<mask>"
    )
    wrapped.add_special_tokens({"additional_special_tokens": list(specials[4:])})
    wrapped.chat_template = chat_template
    wrapped.save_pretrained(folder)
    return wrapped


def word_piece_tokenizer(folder):
    letters = '{}":,0123456789abcdefghijklmnopqrstuvwxyz-.'
    tokens = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *("##" + c for c in letters),
        "true",
        "false",
        "the",
    ]
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


def diffusion_gemma(folder, size: int, experts: int = 1, pad: int = 2, eos: int = 1, bos: int = 0, canvas: int = 32):
    text = dict(
        vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, global_head_dim=16, sliding_window=32, max_position_embeddings=512,
        pad_token_id=pad, eos_token_id=eos, bos_token_id=bos, layer_types=["sliding_attention", "full_attention"],
        moe_intermediate_size=32, num_experts=experts, top_k_experts=min(experts, 2),
    )  # fmt: skip
    vision = dict(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, head_dim=16
    )  # fmt: skip
    config = transformers.DiffusionGemmaConfig(
        text_config=text, vision_config=vision, canvas_length=canvas,
        image_token_id=size - 1, boi_token_id=size - 2, eoi_token_id=size - 3,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.DiffusionGemmaForBlockDiffusion(config)
    with torch.no_grad():  # random weights are nearly uniform: make it as sure of its nonsense as a trained model is
        model.model.decoder.embed_tokens.weight.mul_(20)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = [eos], pad
    model.save_pretrained(folder)


def diffusion_gemma_with_tokenizer(folder, experts: int = 1, **tokenizer):
    """As above, with the byte-level tokenizer that `dc.load` reads."""
    diffusion_gemma(folder, len(byte_tokenizer(folder, **tokenizer)) + 6, experts)

"""Models of transformers, by hub id or local path, as denoisers.

What a model is, is read from its config: its class, mask id, context and dtype. What no config tells, that Dream's logits
are shifted and that LLaDA writes in blocks of 32, stands in `KNOWN`; every such fact can be overridden.
"""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

from dgemma_constrain.diffusion.denoiser import is_out_of_memory
from dgemma_constrain.diffusion.model import Model
from dgemma_constrain.diffusion.renoise import Sampling
from dgemma_constrain.errors import ConstraintError, LimitExceeded, VocabularyError
from dgemma_constrain.models.masked import MaskedModel
from dgemma_constrain.models.renoising import RenoisingModel
from dgemma_constrain.tokens.vocabulary import Vocabulary

KNOWN: dict[str, dict[str, Any]] = {  # by model_type
    "llada": {"window": 32},
    "dream": {"shift": True},
}
DIFFUSION_GEMMA = "diffusion_gemma"
_CONTEXT = ("max_position_embeddings", "max_sequence_length")


def load_hub(
    name: str,
    *,
    trust_remote_code: bool = False,
    device: str = "cpu",
    dtype: str = "auto",
    mask_id: int | None = None,
    eos_id: int | list[int] | None = None,
    **facts: Any,
) -> Model:
    """A masked language model, or a DiffusionGemma, from a hub id or a folder.

    trust_remote_code: run the code that comes with the model; LLaDA and Dream need it. dtype: as the checkpoint has it,
    or a name such as "bfloat16". mask_id, eos_id: where config and tokenizer don't tell, or tell wrong. facts: `window`,
    `shift`, `block`, `context_length` of `MaskedModel`; of a DiffusionGemma those of `renoise.Sampling`,
    `context_length`, and `header`: the tokens, as (end, start) or (end, None), of a thinking block that may stand before an
    answer, such as ("<channel|>", "<|channel>"). Raises ConstraintError for what is neither, or cannot be loaded.
    """
    try:
        import transformers
    except ImportError:
        raise ConstraintError(f"{name!r} needs the library transformers: pip install 'transformers>=5.13'") from None
    if not os.path.exists(name) and (os.path.isabs(name) or name.startswith((".", "~"))):
        raise ConstraintError(f"{name!r}: there is no such folder")
    import torch

    if dtype != "auto" and not isinstance(getattr(torch, str(dtype).removeprefix("torch."), None), torch.dtype):
        raise ConstraintError(f"dtype {dtype!r} is none of torch's; give auto, bfloat16, float16 or float32")
    given = {"trust_remote_code": trust_remote_code}
    try:
        config = transformers.AutoConfig.from_pretrained(name, **given)
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **given)
        network = _class(transformers, config, name).from_pretrained(name, dtype=dtype, **given).to(device).eval()
    except ConstraintError:
        raise
    except Exception as error:  # a file that is cut off, code of the model, no such device: it may be anything
        if is_out_of_memory(error):
            raise LimitExceeded(f"{name!r} does not fit into memory; use a smaller dtype or another device") from None
        raise ConstraintError(f"cannot load {name!r}: {_first_line(error)}") from error
    size = getattr(config.get_text_config(), "vocab_size", None)
    if size is not None and len(tokenizer) > size:
        raise VocabularyError(
            f"{name!r}: the tokenizer has {len(tokenizer)} ids, but the model gives logits for {size}; they don't belong together"
        )
    if config.model_type == DIFFUSION_GEMMA:
        return Model(_renoising(network, tokenizer, eos_id, facts))
    unknown = facts.keys() - {"window", "shift", "block", "context_length"}
    if unknown:
        raise ConstraintError(f"{min(unknown)!r} is nothing that can be said of a masked model; see MaskedModel")
    text = config.get_text_config()
    mask_id = _first(mask_id, getattr(config, "mask_token_id", None), tokenizer.mask_token_id)
    if mask_id is None:
        raise ConstraintError(f"{name!r} names no mask token, neither in its config nor in its tokenizer; give mask_id")
    if eos_id is None and tokenizer.eos_token_id is None:
        eos_id = tokenizer.sep_token_id  # BERT's way to end a text
    vocabulary = Vocabulary.from_tokenizer(tokenizer, size=_size(text, tokenizer), mask_id=mask_id, eos_id=eos_id)
    context = next((n for key in _CONTEXT if (n := getattr(text, key, None))), tokenizer.model_max_length)
    facts = {"context_length": int(min(context, 1 << 20))} | KNOWN.get(config.model_type.lower(), {}) | facts
    if getattr(tokenizer, "chat_template", None):
        facts["render"] = lambda prompt: _chat(tokenizer, prompt)
    else:
        facts |= _around(tokenizer)
    facts["encode"] = _encoder(tokenizer)
    model = MaskedModel(network, vocabulary, device=device, **facts)
    if model.is_causal():
        raise ConstraintError(
            f"{name!r} looks only backwards, as a causal model does: what follows a position does not change its logits"
        )
    return Model(model)


def _renoising(network, tokenizer, eos_id, facts: dict[str, Any]) -> RenoisingModel:
    text, said = network.config.get_text_config(), network.generation_config
    context = facts.pop("context_length", text.max_position_embeddings)
    header = tuple(_token_id(tokenizer, token) for token in facts.pop("header", ())) or None
    unknown = facts.keys() - {f.name for f in fields(Sampling)}
    if unknown:
        raise ConstraintError(f"{min(unknown)!r} is nothing that can be said of a DiffusionGemma; see renoise.Sampling")
    told = {
        "t_min": said.t_min,
        "t_max": said.t_max,
        "entropy_bound": getattr(said.sampler_config, "entropy_bound", None),
        "stability": said.stability_threshold,
        "confidence": said.confidence_threshold,
    }
    sampling = Sampling(**{name: value for name, value in told.items() if value is not None} | facts)
    ends = _first(eos_id, said.eos_token_id, text.eos_token_id, tokenizer.eos_token_id)
    vocabulary = Vocabulary.from_tokenizer(tokenizer, size=_size(text, tokenizer), eos_id=ends)
    render = (lambda prompt: _chat(tokenizer, prompt)) if getattr(tokenizer, "chat_template", None) else None
    begin = tokenizer.bos_token_id
    return RenoisingModel(
        network, vocabulary, context, _encoder(tokenizer), () if begin is None else (begin,), render, sampling, header
    )


def _first_line(error: Exception) -> str:
    """What a library says, in one line; with its kind where that isn't a sentence of its own."""
    first = (str(error).strip().splitlines() or [""])[0]
    if not isinstance(error, (OSError, ValueError, ImportError)):
        first = f"{type(error).__name__}: {first}"
    if "trust_remote_code" in str(error):
        first += "; if you trust its code, say trust_remote_code=True (or --trust-remote-code)"
    return first


def _token_id(tokenizer, token: str | int | None) -> int | None:
    if token is None or isinstance(token, int):
        return token
    known = tokenizer.get_vocab()
    if token not in known:
        raise ConstraintError(f"header names {token!r}, which is no token of this tokenizer")
    return known[token]


def _encoder(tokenizer):
    return lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]


def _class(transformers, config, name: str):
    """The class to load: a masked language model of transformers, or what the checkpoint's own code says."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    if config.model_type == DIFFUSION_GEMMA:
        return transformers.DiffusionGemmaForBlockDiffusion
    own = getattr(config, "auto_map", None) or {}
    for auto in ("AutoModelForMaskedLM", "AutoModel", "AutoModelForCausalLM"):
        if auto in own:
            return getattr(transformers, auto)
    if config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise ConstraintError(
            f"{name!r} is a {config.model_type} model, which does not fill in masks (is it causal?); "
            "a masked language model is needed: LLaDA, Dream, ModernBERT, …"
        )
    return transformers.AutoModelForMaskedLM


def _first(*values):
    return next((v for v in values if v is not None), None)


def _size(config, tokenizer) -> int | None:
    """How many ids the logits have, where they are more than the tokenizer's."""
    size = getattr(config, "vocab_size", None)
    return size if size is not None and size > len(tokenizer) else None


def _around(tokenizer) -> dict[str, tuple[int, ...]]:
    """What the tokenizer puts around every text: [CLS] … [SEP], <s> … </s>, or nothing."""
    plain, framed = (tokenizer("a", add_special_tokens=special)["input_ids"] for special in (False, True))
    at = next((i for i in range(len(framed)) if framed[i : i + len(plain)] == plain), 0)
    return {"before": tuple(framed[:at]), "after": tuple(framed[at + len(plain) :])}


def _chat(tokenizer, prompt: str) -> list[int]:
    return list(
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=True, return_dict=True
        )["input_ids"]
    )

"""A tiny checkpoint of the real `DiffusionGemmaForBlockDiffusion`, so that anyone can see a renoising model at work.

It has the embedded model's tokenizer, learnt the same jobs (see MODEL_CARD.md) and is loaded as any checkpoint of the class is. It is
smaller and less good than the embedded denoiser: it is there for the path it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgemma_constrain.errors import ConstraintError

if TYPE_CHECKING:
    from dgemma_constrain.models.renoising import RenoisingModel


def load_diffusion_gemma() -> RenoisingModel:
    """The checkpoint in `data/diffusion_gemma`. Raises ConstraintError where transformers has no DiffusionGemma."""
    from tokenizers import Tokenizer

    from dgemma_constrain.models.embedded import DATA, Tokens
    from dgemma_constrain.models.renoising import RenoisingModel
    from dgemma_constrain.tokens.vocabulary import Vocabulary

    from .network import BOS, EOS, PAD, SEP

    try:
        from transformers import DiffusionGemmaForBlockDiffusion
    except ImportError:
        raise ConstraintError("the embedded DiffusionGemma needs transformers; pip install 'transformers>=5.13'") from None
    network = DiffusionGemmaForBlockDiffusion.from_pretrained(DATA / "diffusion_gemma").float().eval()
    text = Tokens(Tokenizer.from_file(str(DATA / "tokenizer.json")))
    tokens = text.token_bytes()
    spare = network.config.text_config.vocab_size - len(tokens)  # ids that the class wants for images
    return RenoisingModel(
        network,
        Vocabulary(tokens + [None] * spare, eos_id=EOS, pad_id=PAD),
        network.config.text_config.max_position_embeddings,
        text.encode,
        before=(BOS,),
        render=lambda prompt: [BOS, *text.encode(prompt), SEP],
    )

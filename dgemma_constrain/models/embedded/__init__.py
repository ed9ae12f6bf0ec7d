"""The denoiser that ships with the package: 11.6 million parameters, no download, runs on any CPU.

It was trained by `examples/train_embedded`; `data/MODEL_CARD.md` has the figures. It reads short texts into JSON
records, fills form letters, picks options and completes Python lines. It is small: it shows what the constraints do and
answers simple questions well; it does not know the world.
"""

import json
from functools import cached_property
from pathlib import Path

DATA = Path(__file__).parent / "data"
PREFIX_TOKENS, SUFFIX_TOKENS = 192, 192  # what an infill keeps around its hole; the rest of the context is the hole's


class Tokens:
    """The tokenizer's ids, moved up by the special ones."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def token_bytes(self) -> list[bytes | None]:
        """What each id adds to a text."""
        from .network import SPECIALS

        size = self.tokenizer.get_vocab_size()
        return [None] * len(SPECIALS) + [_unmap(self.tokenizer.id_to_token(i)) for i in range(size)]

    def encode(self, text: str) -> list[int]:
        """The tokenizer's ids of `text`; never a special one, whatever the text says."""
        from .network import SPECIALS

        return [i + len(SPECIALS) for i in self.tokenizer.encode(text, add_special_tokens=False).ids]


class EmbeddedModel(Tokens):
    """A masked-diffusion denoiser over a canvas inside one context; see `logits`."""

    def __init__(self, network, tokenizer):
        super().__init__(tokenizer)
        self.network = network
        self.context_length = network.shape.context
        self.block = 128  # the longest canvas it was trained on
        self.window = 8  # on 60 records it made no difference: from 2 to 128, 106 to 109 of 141 fields are right

    @cached_property
    def vocabulary(self):
        """The tokens' bytes as a `dgemma_constrain.tokens.Vocabulary`; the five special ids are None."""
        from dgemma_constrain.tokens.vocabulary import Vocabulary

        from .network import EOS, MASK, PAD

        return Vocabulary(tokens=self.token_bytes(), eos_id=EOS, pad_id=PAD, mask_id=MASK)

    def frame(self, prompt: str) -> tuple[list[int], list[int]]:
        """The ids before and after a canvas that answers `prompt`."""
        from dgemma_constrain.errors import ConstraintError

        from .network import BOS, SEP

        before = [BOS, *self.encode(prompt), SEP]
        if len(before) >= self.context_length:
            raise ConstraintError(
                f"the prompt has {len(before)} tokens and the embedded model's context {self.context_length}; shorten the prompt"
            )
        return before, []

    def frame_infill(self, prefix: str, suffix: str) -> tuple[list[int], list[int]]:
        """The ids before and after a hole between two texts, of which what lies nearest the hole is kept."""
        from .network import BOS

        # No token is longer than 16 bytes and few are shorter than one character: this much is enough to cut from.
        before = self.encode(prefix[-16 * PREFIX_TOKENS :])[-PREFIX_TOKENS:]
        after = self.encode(suffix[: 16 * SUFFIX_TOKENS])[:SUFFIX_TOKENS]
        return [BOS, *before], after

    @cached_property
    def forward(self):
        """The network's forward pass, made for a CPU."""
        from .forward import Forward

        return Forward(self.network)

    def logits(self, ids, start: int, stop: int):
        """Log-probabilities of every token on the canvas `ids[:, start:stop]`.

        ids: long [B, T], holding the mask id where nothing is decided yet. Returns float32 [B, stop - start, V], finite.
        """
        import torch

        return torch.stack(self._look(ids.tolist(), [(start, stop)] * len(ids)))

    def around(self, before: list[int], after: list[int], length: int):
        """Reads what stands around canvases once; see `around.Around`."""
        from .around import Around

        return Around(self.forward, before, after, length)

    pads = True  # rows of different lengths are never padded, so none knows of another

    def padded_logits(self, questions):
        """The same of rows of different lengths, float32 [stop - start, V] each."""
        return self._look([q.ids for q in questions], [(q.start, q.stop) for q in questions])

    def _look(self, rows, spans):
        from dgemma_constrain.errors import ConstraintError

        longest = max(map(len, rows))
        if longest > self.context_length:
            raise ConstraintError(
                f"{longest} tokens do not fit the embedded model's context of {self.context_length}; shorten the prompt or the canvas"
            )
        return self.forward(rows, spans)


def load_embedded(folder: Path = DATA, dtype=None) -> EmbeddedModel:
    """The model in `folder`: `model.safetensors`, `tokenizer.json` and `config.json`.

    dtype: what it computes in; by default bfloat16, as it was trained, where the processor has instructions for that, and float32
    elsewhere. In float32 a row gets the same logits whatever else is in its batch, to 1e-4; in bfloat16 probabilities differ by some hundredth.
    """
    import torch
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    from .network import Denoiser, Shape

    shape = Shape(**json.loads((folder / "config.json").read_text()))
    with torch.device("meta"):
        network = Denoiser(shape)
    network = network.to_empty(device="cpu").to(dtype or _fast_dtype())
    network.set_positions()
    network.load_state_dict(load_file(folder / "model.safetensors"))
    return EmbeddedModel(network.eval(), Tokenizer.from_file(str(folder / "tokenizer.json")))


def _fast_dtype():
    """bfloat16, in which the model was trained, where the processor multiplies it itself; elsewhere that is many times slower."""
    import torch

    can = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.bfloat16 if can.get("avx512_bf16") or can.get("amx_bf16") else torch.float32


def _unmap(token: str) -> bytes:
    """Byte-level BPE writes each byte as a printable character; back to bytes."""
    return bytes(_BYTE_OF[character] for character in token)


def _byte_characters() -> dict[str, int]:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


_BYTE_OF = _byte_characters()

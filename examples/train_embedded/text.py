"""The tokenizer: trained here, used at run time by `dgemma_constrain.models.embedded`.

Words are split off without the space before them, so that ` Anna` in a sentence and `"Anna"` in JSON are the same token: that is
what makes a value something that can be copied. Digits stand alone; runs of punctuation and spaces, such as `": "`, stay together.
"""

from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from dgemma_constrain.models.embedded.network import SPECIALS

WORDS = r"\p{L}[\p{L}\p{M}]*|\p{N}|\n[ \t]*|[^\p{L}\p{N}\n]+"


def train_tokenizer(texts, size: int, path: Path) -> None:
    """Byte-level BPE of `size` tokens; the special ids come before its own and are not in the file, so no text encodes to one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIALS), initial_alphabet=alphabet, max_token_length=16, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))

"""Every kind of tokenizer -> the bytes of its ids, and the check that they are what the tokenizer prints."""

import json
import os
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dgemma_constrain.errors import VocabularyError
from dgemma_constrain.tokens.read_decoder import byte_fallback, byte_level, read_decoder, word_piece

# Control tokens that tokenizers forget to mark as special: Gemma has 6,244 (`<unused12>`, `<mask>`, `[multimodal]`).
_PLACEHOLDER = re.compile(r"<\|?(unused|reserved|extra_id|mask)\w*\|?>|\[(unused\d+|MASK|multimodal)\]")


@dataclass
class Reading:
    """What a tokenizer says about itself. `tokens` has None for the ids that add no text."""

    tokens: list[bytes | None]
    decode: Callable[[list[int]], str]
    encode: Callable[[str], list[int]]
    strips_leading_space: bool = False
    eos_id: int | None = None
    pad_id: int | None = None
    mask_id: int | None = None
    added: list[int] = field(default_factory=list)  # ids whose text is worth a check of its own

    def check(self, vocabulary) -> None:
        """Compares a sample of ids and sequences with the tokenizer's own decoding; VocabularyError at a mismatch.

        Each stands between two words, as the bytes are those for the middle of a text.
        """
        chance = random.Random(0)
        ids = [i for i, token in enumerate(self.tokens) if token and not vocabulary.special[i]]
        if not ids:
            return
        words = [i for i in chance.sample(ids, min(len(ids), 5000)) if _is_word(self.tokens[i])]
        word = [i for i in words[:50] if self.decode([i]) == vocabulary.decode([i])][:1] or words[:1]
        added = [i for i in self.added if not vocabulary.special[i]]
        for i in chance.sample(ids, min(len(ids), 300)) + chance.sample(added, min(len(added), 100)):
            self._compare(vocabulary, [*word, i, *word])
        # a run of bytes that is not UTF-8 prints as one U+FFFD for each byte or for several: only whole characters here
        whole = [i for i in ids if "\ufffd" not in self.tokens[i].decode(errors="replace")]
        for _ in range(100):
            self._compare(vocabulary, [*word, *chance.choices(whole or ids, k=20), *word])
        single = {token: i for i, token in enumerate(self.tokens) if token and len(token) == 1}
        spelled = [single.get(bytes([byte])) for byte in "é世🙂".encode()]
        if None not in spelled:
            self._compare(vocabulary, [*word, *spelled, *word])

    def _compare(self, vocabulary, ids: list[int]) -> None:
        def agree(ids):  # some decoders drop a space at the very end
            return vocabulary.decode(ids) in (self.decode(ids), self.decode(ids) + " ")

        if not agree(ids):
            ids = next(ids[:n] for n in range(1, len(ids) + 1) if not agree(ids[:n]))
            raise VocabularyError(
                f"id {ids[-1]} reads as {self.tokens[ids[-1]]!r}, but the tokenizer decodes {ids} to"
                f" {self.decode(ids)!r}, not {vocabulary.decode(ids)!r}"
            )


def read_tokenizer(tokenizer) -> Reading:
    """Reads any of the kinds that `Vocabulary.from_tokenizer` lists; VocabularyError for anything else."""
    if isinstance(tokenizer, (str, os.PathLike)):
        return _from_path(Path(tokenizer))
    module = type(tokenizer).__module__.partition(".")[0]
    if module == "tokenizers":
        return _from_tokenizers(getattr(tokenizer, "_tokenizer", tokenizer))  # its ready-made classes wrap one
    if module == "tiktoken":
        return _from_tiktoken(tokenizer)
    if hasattr(tokenizer, "id_to_piece") and hasattr(tokenizer, "is_control"):
        return _from_sentencepiece(tokenizer)
    if hasattr(tokenizer, "backend_tokenizer"):
        return _from_hugging_face(tokenizer, _from_tokenizers(tokenizer.backend_tokenizer))
    if hasattr(tokenizer, "convert_ids_to_tokens"):
        return _from_hugging_face(tokenizer, _from_python_tokenizer(tokenizer))
    kind = type(tokenizer).__name__
    raise VocabularyError(f"cannot read a {kind} as a tokenizer; build Vocabulary(tokens=[...]) from its bytes instead")


def _from_path(path: Path) -> Reading:
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise VocabularyError(f"no tokenizer at {file}; load it with its own library and pass the object")
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the Rust side raises bare Exception
        raise VocabularyError(f"{file} is not a tokenizer.json: {error}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    reading = _from_tokenizers(tokenizer)
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (file.parent / name).is_file():
            config = json.loads((file.parent / name).read_text(encoding="utf-8"))
            for role in ("eos", "pad", "mask"):
                token = config.get(f"{role}_token")
                token = token.get("content") if isinstance(token, dict) else token
                if token is not None and tokenizer.token_to_id(token) is not None:
                    setattr(reading, f"{role}_id", tokenizer.token_to_id(token))
    return reading


def _from_tokenizers(tokenizer) -> Reading:
    vocab = tokenizer.get_vocab(with_added_tokens=False)
    added = tokenizer.get_added_tokens_decoder()
    decoder = None
    if tokenizer.decoder is not None:
        try:
            decoder = json.loads(tokenizer.decoder.__getstate__())
        except Exception as error:
            raise VocabularyError(f"cannot read the decoder {type(tokenizer.decoder).__name__}: {error}") from None
    pieces = _by_id({**vocab, **{token.content: i for i, token in added.items()}})
    tokens, strips = read_decoder(pieces, decoder)
    special = {i for i, token in added.items() if token.special or _PLACEHOLDER.fullmatch(token.content)}
    special |= _unknown_ids(tokenizer.model, vocab)
    silent = special | {i for i, piece in enumerate(pieces) if piece is _HOLE}
    return Reading(
        [None if i in silent else token for i, token in enumerate(tokens)],
        partial(tokenizer.decode, skip_special_tokens=False),
        partial(_encode_with_tokenizers, tokenizer),
        strips,
        added=list(added),
    )


def _unknown_ids(model, vocab: dict[str, int]) -> set[int]:
    """The id that stands for what the model could not read: never text, whatever it looks like."""
    if hasattr(model, "unk_token"):
        return {vocab[model.unk_token]} if model.unk_token in vocab else set()
    unknown = json.loads(model.__getstate__()).get("unk_id")
    return set() if unknown is None else {unknown}


def _from_hugging_face(tokenizer, reading: Reading) -> Reading:
    """Adds what transformers knows on top: the roles of ids, and its own decode and encode."""
    for i in tokenizer.all_special_ids:
        if i < len(reading.tokens):
            reading.tokens[i] = None
    reading.eos_id, reading.pad_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    reading.mask_id = getattr(tokenizer, "mask_token_id", None)
    reading.decode = partial(tokenizer.decode, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    reading.encode = partial(tokenizer.encode, add_special_tokens=False)
    return reading


def _from_python_tokenizer(tokenizer) -> Reading:
    """A transformers tokenizer written in Python: by what it carries, as each family decodes in its own way."""
    added = tokenizer.added_tokens_decoder
    strips = False
    if hasattr(tokenizer, "mergeable_ranks"):  # Qwen 1, ChatGLM 4: a tiktoken inside
        tokens = [None if token is _HOLE else token for token in _by_id(tokenizer.mergeable_ranks)]
        tokens += [None] * (len(tokenizer) - len(tokens))
    else:
        pieces = _by_id(tokenizer.get_vocab())
        if hasattr(tokenizer, "byte_decoder"):
            read = byte_level
        elif hasattr(tokenizer, "sp_model"):
            read = _sentence_piece
            strips = _drops_first_space(tokenizer.decode, tokenizer.get_vocab())
        elif hasattr(tokenizer, "wordpiece_tokenizer"):
            read, strips = word_piece("##", cleanup=False), True
        else:
            raise VocabularyError(
                f"cannot read the Python tokenizer {type(tokenizer).__name__}: it has no byte_decoder, sp_model,"
                " wordpiece_tokenizer or mergeable_ranks; build Vocabulary(tokens=[...]) from its bytes instead"
            )
        silent = _silent_pieces(tokenizer.sp_model, pieces) if read is _sentence_piece else {_HOLE}
        tokens = [None if piece in silent else _as_bytes(read(piece)) for piece in pieces]
    for i, token in added.items():
        if i >= len(tokens):
            tokens += [None] * (i + 1 - len(tokens))
        tokens[i] = None if token.special else token.content.encode()
    return Reading(tokens, None, None, strips, added=list(added))  # decode and encode: see _from_hugging_face


def _from_tiktoken(encoding) -> Reading:
    specials = {encoding.encode_single_token(token) for token in encoding.special_tokens_set}
    tokens: list[bytes | None] = []
    for i in range(encoding.n_vocab):
        try:
            tokens.append(None if i in specials else encoding.decode_single_token_bytes(i))
        except KeyError:
            tokens.append(None)
    eos = encoding.eot_token if "<|endoftext|>" in encoding.special_tokens_set else None
    return Reading(tokens, encoding.decode, encoding.encode_ordinary, eos_id=eos)


def _from_sentencepiece(processor) -> Reading:
    size = processor.get_piece_size()
    pieces = [processor.id_to_piece(i) for i in range(size)]
    silent = [processor.is_control(i) or processor.is_unknown(i) for i in range(size)]
    vocab = {piece: i for i, piece in enumerate(pieces) if not silent[i]}
    return Reading(
        [None if silent[i] else _as_bytes(_sentence_piece(piece)) for i, piece in enumerate(pieces)],
        processor.decode,
        processor.encode,
        _drops_first_space(processor.decode, vocab),
        eos_id=processor.eos_id() if processor.eos_id() >= 0 else None,
        pad_id=processor.pad_id() if processor.pad_id() >= 0 else None,
        added=[i for i, piece in enumerate(pieces) if not silent[i] and piece.startswith("<")],
    )


_SPACE = "▁"  # SentencePiece's stand-in for a space
_HOLE = ""  # an id that no token has


def _by_id(vocab: dict) -> list:
    by_id = [_HOLE] * (max(vocab.values(), default=-1) + 1)
    for token, i in vocab.items():
        by_id[i] = token
    return by_id


def _as_bytes(piece: str | bytes) -> bytes:
    return piece if type(piece) is bytes else piece.encode()


def _sentence_piece(piece: str) -> str | bytes:
    return byte_fallback(piece.replace(_SPACE, " "))


def _silent_pieces(processor, pieces: list[str]) -> set[str]:
    ids = ((piece, processor.piece_to_id(piece)) for piece in pieces)
    return {_HOLE, *(piece for piece, i in ids if processor.is_control(i) or processor.is_unknown(i))}


def _drops_first_space(decode: Callable[[list[int]], str], vocab: dict[str, int]) -> bool:
    word = next((i for piece, i in vocab.items() if piece.startswith(_SPACE) and piece[1:].isalpha()), None)
    return word is not None and not decode([word]).startswith(" ")


def _is_word(token: bytes) -> bool:
    word = token.strip()
    return len(word) > 1 and word.isalpha()


def _encode_with_tokenizers(tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids

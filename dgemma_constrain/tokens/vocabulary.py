"""A tokenizer seen as bytes: what each of its ids adds to a text, in two flat arrays."""

import hashlib
import operator
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np

from dgemma_constrain.errors import VocabularyError
from dgemma_constrain.tokens.trie import Trie, build_trie, fewest_tokens, sort_tokens


class Vocabulary:
    """The bytes of every id, and which ids end a text, pad it or stand for "not written yet".

    data     uint8[sum]    the bytes of all ids, one after the other
    offsets  int64[V+1]    id t adds data[offsets[t]:offsets[t+1]]
    special  bool[V]       ids that add no text: None or b"" in `tokens`, and every eos, pad and mask id
    eos_ids  tuple of int  none, one or several; `eos_id` is the first, or None
    pad_id, mask_id        int or None

    The bytes are those an id adds *in the middle* of a text. Where `strips_leading_space` is True (SentencePiece's
    "▁Hello", WordPiece), a whole text drops one space at its very start, if it has one: `decode` does so. Several ids
    may have the same bytes; all are kept. Not to be changed once made; pickles.
    """

    def __init__(
        self,
        tokens: Sequence[bytes | None],
        eos_id: int | Sequence[int] | None = None,
        pad_id: int | None = None,
        mask_id: int | None = None,
        *,
        encode: Callable[[str], Sequence[int]] | None = None,
        strips_leading_space: bool = False,
    ):
        """`encode` is the tokenizer's own text -> ids, where there is one. Raises VocabularyError."""
        tokens = _checked_tokens(tokens)
        size = len(tokens)
        several = [] if eos_id is None else eos_id if isinstance(eos_id, Iterable) else [eos_id]
        self.eos_ids = tuple(dict.fromkeys(_checked_id(i, size, "eos_id") for i in several))
        self.pad_id = None if pad_id is None else _checked_id(pad_id, size, "pad_id")
        self.mask_id = None if mask_id is None else _checked_id(mask_id, size, "mask_id")
        for i in (*self.eos_ids, self.pad_id, self.mask_id):
            if i is not None:
                tokens[i] = b""
        lengths = np.fromiter(map(len, tokens), np.int64, size)
        self.data = np.frombuffer(b"".join(tokens), np.uint8).copy()  # read-only arrays would compile kernels anew
        self.offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        self.special = lengths == 0
        self.strips_leading_space = bool(strips_leading_space)
        self._encode = encode

    @classmethod
    def from_tokenizer(cls, tokenizer, *, size=None, eos_id=None, pad_id=None, mask_id=None) -> "Vocabulary":
        """Reads the exact bytes of every id and checks a sample against the tokenizer's own decoding.

        `tokenizer`: a Hugging Face tokenizer (fast or slow), a `tokenizers.Tokenizer`, a `tiktoken.Encoding`, a
        `sentencepiece.SentencePieceProcessor`, or a path to a tokenizer.json or to a folder with one.
        `size`: how many ids the model's logits have, where it pads them; the ids past the tokenizer's are special.
        `eos_id`, `pad_id`, `mask_id`: what the model uses, where that differs from what the tokenizer says.
        Raises VocabularyError if the tokenizer cannot be read exactly.
        """
        from dgemma_constrain.tokens.read_tokenizer import read_tokenizer

        read = read_tokenizer(tokenizer)
        tokens = read.tokens
        if size is not None:
            if type(size) is not int or size < len(tokens):
                raise VocabularyError(f"size is {size!r}, but the tokenizer has {len(tokens)} ids")
            tokens = tokens + [None] * (size - len(tokens))
        vocabulary = cls(
            tokens,
            read.eos_id if eos_id is None else eos_id,
            read.pad_id if pad_id is None else pad_id,
            read.mask_id if mask_id is None else mask_id,
            encode=read.encode,
            strips_leading_space=read.strips_leading_space,
        )
        read.check(vocabulary)
        return vocabulary

    def __len__(self) -> int:
        return len(self.special)

    def __repr__(self) -> str:
        ids = f"eos_ids={self.eos_ids}, pad_id={self.pad_id}, mask_id={self.mask_id}"
        return f"Vocabulary({len(self)} ids, {int(self.special.sum())} special, {ids})"

    @property
    def eos_id(self) -> int | None:
        """The first of `eos_ids`."""
        return self.eos_ids[0] if self.eos_ids else None

    def text_length(self, ids) -> int:
        """How many of `ids` come before the first end token; all of them where there is none."""
        return next((i for i, t in enumerate(ids) if t in self.eos_ids), len(ids))

    def token_bytes(self, token_id: int) -> bytes | None:
        """The bytes that an id adds in the middle of a text; None for a special id."""
        i = _checked_id(token_id, len(self), "id")
        return None if self.special[i] else self.data[self.offsets[i] : self.offsets[i + 1]].tobytes()

    def decode_bytes(self, ids) -> bytes:
        """The bytes of a whole text, as `decode` prints it. `ids`: a sequence, numpy array or tensor of ints."""
        ids = ids.tolist() if hasattr(ids, "tolist") else ids
        if not isinstance(ids, Iterable):
            raise VocabularyError(f"ids must be a sequence of ints, not {ids!r}")
        ids = [_checked_id(i, len(self), "id") for i in ids]
        text = b"".join(self.data[self.offsets[i] : self.offsets[i + 1]].tobytes() for i in ids)
        return text[1:] if self.strips_leading_space and text.startswith(b" ") else text

    def decode(self, ids) -> str:
        """The text of `ids`; bytes that are not UTF-8 become U+FFFD. Special ids add nothing, and end nothing."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def encode(self, text: str) -> list[int]:
        """Ordinary ids that decode to exactly `text`.

        The tokenizer's own encoding where there is one and it decodes back to `text` (a tokenizer that normalizes text,
        or reads "<eos>" as an eos id, may not); else the fewest tokens. Raises VocabularyError if no ids spell `text`.
        """
        if not isinstance(text, str):
            raise VocabularyError(f"encode takes a str, not {type(text).__name__}")
        try:
            wanted = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise VocabularyError(f"text has a lone surrogate at character {error.start}, which is not UTF-8") from None
        if self._encode is not None:
            ids = [-1 if i is None else int(i) for i in self._encode(text)]  # None: unknown to a tokenizer without unk
            known = all(0 <= i < len(self) for i in ids) and not self.special[ids].any()
            if known and self.decode_bytes(ids) == wanted:
                return ids
        return self._fewest_tokens(wanted)

    @cached_property
    def order(self) -> np.ndarray:
        """int32[n]: the ids that add text, sorted by their bytes; twins by id."""
        return sort_tokens(self.data, self.offsets, np.flatnonzero(~self.special))

    @cached_property
    def trie(self) -> Trie:
        """The trie over `order`; see `Trie` for its arrays."""
        return build_trie(self.data, self.offsets, self.order)

    @cached_property
    def height(self) -> int:
        """Bytes of the longest token."""
        return self.trie.height

    @cached_property
    def token_nodes(self) -> np.ndarray:
        """The node of `trie` at which each token of `order` ends."""
        return self.trie.token_nodes()

    @cached_property
    def single_bytes(self) -> np.ndarray:
        """bool[256]: the bytes that are tokens of their own."""
        found = np.zeros(256, bool)
        found[self.data[self.offsets[:-1][np.diff(self.offsets) == 1]]] = True
        return found

    @cached_property
    def byte_weights(self) -> np.ndarray:
        """int64[256]: how often each byte occurs in a sample of the vocabulary's."""
        return np.bincount(self.data[::256], minlength=256)

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of all that makes a compiled constraint fit this vocabulary; the key of caches."""
        digest = hashlib.sha256()
        for array in (self.data, self.offsets, self.special):
            digest.update(array.data)
        digest.update(repr((self.eos_ids, self.pad_id, self.mask_id, self.strips_leading_space)).encode())
        return digest.hexdigest()

    def __getstate__(self) -> dict:
        rebuilt = ("order", "trie", "token_nodes")  # quicker than they are read
        return {k: v for k, v in self.__dict__.items() if k not in rebuilt}

    def _fewest_tokens(self, text: bytes) -> list[int]:
        if not text:
            return []
        spellings = [text]
        if self.strips_leading_space:  # the model's own way first: a word at the start of a text has its space too
            spellings = [b" " + text] if text.startswith(b" ") else [b" " + text, text]
        stuck = []
        for spelling in spellings:
            found, reached = self._split(spelling)
            if reached == len(spelling):
                return self.order[found].tolist()
            stuck.append((max(0, reached - len(spelling) + len(text)), spelling[reached]))
        place, byte = max(stuck)
        raise VocabularyError(f"no token of this vocabulary spells byte 0x{byte:02X} at byte {place} of the text")

    def _split(self, text: bytes) -> tuple[np.ndarray, int]:
        t = self.trie
        return fewest_tokens(np.frombuffer(text, np.uint8).copy(), t.byte, t.skip, t.first, t.last)


def _checked_tokens(tokens) -> list[bytes]:
    if isinstance(tokens, (bytes, str)) or not isinstance(tokens, Sequence):
        raise VocabularyError(f"tokens must be a sequence of bytes or None, not {type(tokens).__name__}")
    if not len(tokens):
        raise VocabularyError("a vocabulary needs at least one token")
    checked = [b"" if token is None else token for token in tokens]
    if set(map(type, checked)) != {bytes}:
        i = next(i for i, token in enumerate(checked) if type(token) is not bytes)
        raise VocabularyError(f"token {i} must be bytes or None, not {type(checked[i]).__name__}")
    return checked


def _checked_id(value, size: int, name: str) -> int:
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        i = operator.index(value)
    except TypeError:
        raise VocabularyError(f"{name} must be an int, not {value!r}") from None
    if not 0 <= i < size:
        raise VocabularyError(f"{name} {i} is outside the vocabulary of {size} ids")
    return i

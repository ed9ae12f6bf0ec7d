"""A vocabulary of a real one's size and shape, so that tests and benchmarks need no download.

Made the way byte-pair encoding makes one: a token is two earlier tokens joined, the early ones more often, so that the
trie branches like a real one's. Against Gemma 3's tokenizer (262,144 ids), at the same size: bytes per token 7.8 there
and 7.9 here, trie nodes 600,000 and 645,000, tokens with a leading space 52 % and 53 %, longest 48 bytes in both.
"""

import random
from itertools import product

from dgemma_constrain.tokens import Vocabulary

PAD, EOS, BOS, UNKNOWN, MASK = range(5)
LONGEST = 48


def generated_vocabulary(size: int = 262_144, seed: int = 0) -> Vocabulary:
    """A vocabulary of `size` ids (4,096 or more), the same for the same arguments; pad 0, eos 1, mask 4.

    1 id in 43 is special (6,096 of 262,144). All 256 bytes have an id, most of ASCII has two.
    """
    if size < 4096:
        raise ValueError(f"size is {size}; the fixed part alone needs 4,096 ids")
    chance = random.Random(seed)
    tokens: list[bytes | None] = [None] * (size // 43)
    tokens += [bytes([byte]) for byte in range(256)]
    tokens += [bytes([byte]) for byte in (*range(0x20, 0x7F), *range(1, 15))]  # twins, as byte fallback makes them
    fixed = _runs() + _markup() + _fragments()
    tokens += dict.fromkeys(fixed)
    seen = set(tokens)
    free = size - len(tokens)
    total = sum(share for share, *_ in _SCRIPTS)
    counts = [round(free * share / total) for share, *_ in _SCRIPTS]
    counts[0] += free - sum(counts)
    for count, (_, first, letters, spaced) in zip(counts, _SCRIPTS, strict=True):
        tokens += _merges(chance, first, letters, spaced, count, seen)
    return Vocabulary(tokens, eos_id=EOS, pad_id=PAD, mask_id=MASK)


def _merges(
    chance: random.Random, first: list[bytes], letters: list[bytes], spaced: float, count: int, seen: set
) -> list[bytes]:
    """`count` new tokens, each two earlier ones joined; of those that begin a word, `spaced` have a space before it."""
    new = [token for token in dict.fromkeys(first + letters) if token not in seen][:count]
    seen.update(new)
    heads, tails = list(first), list(letters)
    width = len(letters[-1])
    while len(new) < count:
        left = heads if chance.random() < 0.85 else tails
        token = left[int(len(left) * chance.random() ** 1.5)] + tails[int(len(tails) * chance.random() ** 5)]
        if len(token) > min(LONGEST - 1, width * (2 + chance.expovariate(0.35))):
            continue
        spelled = b" " + token if left is heads and chance.random() < spaced else token
        if spelled not in seen:
            seen.add(spelled)
            new.append(spelled)
            left.append(token)
    return new


def _runs() -> list[bytes]:
    spaces = [mark * n for mark in (b" ", b"\n", b"\t") for n in range(2, 32)] + [b"\r\n", b"\n\t", b"\n\n\t"]
    lines = [mark * n for mark in (b"-", b"=", b"*", b"#") for n in (2, 3, 4, 8, 16, 20, 32, 40)]
    return spaces + lines + ["─".encode() * n for n in (2, 3, 4, 8, 16)]


def _markup() -> list[bytes]:
    """What JSON and code are written in: quotes with their neighbours."""
    pairs = [bytes(pair) for pair in product(b"\":,{}[]();\\=<>/'.-", repeat=2)]
    json = rb'": ", "," "," ": "}, "}] "}} "]} ":" ":{ ":[ {" [{" [" ]] }} },{ "\" \"" \n \u \u00 {} [] }]}'.split(b" ")
    lines = b'{\n|",\n|},\n|[\n|{\n  "|": |": "|": {|": [|, "|", "|true|null'.split(b"|")
    return pairs + [b" " + pair for pair in pairs] + [mark for mark in json if mark] + lines


def _fragments() -> list[bytes]:
    """Tokens that end inside a character, begin inside one, or both, as byte-level merges leave them."""
    cut = []
    for first in (0xC3, 0x3B1, 0x430, 0x5D0, 0x627, 0x915, 0xE01, 0x3042, 0x4E00, 0xAC00, 0x1F600):
        for char in (chr(first + i).encode() for i in range(12)):
            cut += [char[:-1], b" " + char[:-1], char[1:], char[1:] + char[:-1]]
    return [token for token in cut if len(token) > 1]


def _letters(first: int, count: int) -> list[bytes]:
    return [chr(first + i).encode() for i in range(count)]


_LOWER = [bytes([c]) for c in b"etaoinshrdlucmfwypvbgkqjxz"]
_UPPER = [letter.upper() for letter in _LOWER]
_SIGNS = [bytes([c]) for c in b"()\"{}[].,:;=-_/\\<>*'+#!$&|%@?^`~"]
_ACCENTED = _LOWER[:12] + [chr(c).encode() for c in range(0xE0, 0x17F, 2)]

# (share of the vocabulary, what begins a word, what goes on one, how many beginnings have a space); Latin first
_SCRIPTS: list[tuple[float, list[bytes], list[bytes], float]] = [
    (39, _LOWER, _LOWER, 0.76),
    (14, _UPPER, _LOWER, 0.76),
    (8, _UPPER, _UPPER + _LOWER[:6], 0.6),
    (6, _ACCENTED, _ACCENTED, 0.76),
    (2, _SIGNS, _SIGNS, 0.3),
    (8, _letters(0x4E00, 4000), _letters(0x4E00, 4000), 0),
    (6, _letters(0x905, 60), _letters(0x905, 60), 0.76),  # Devanagari
    (6, _letters(0x430, 40), _letters(0x430, 40), 0.76),  # Cyrillic
    (4, _letters(0x985, 60), _letters(0x985, 60), 0.76),  # Bengali
    (4, _letters(0x621, 42), _letters(0x621, 42), 0.76),  # Arabic
    (2, _letters(0xAC00, 1500), _letters(0xAC00, 1500), 0.4),  # Hangul
    (2, _letters(0xB85, 50), _letters(0xB85, 50), 0.76),  # Tamil
    (2, _letters(0x3041, 180), _letters(0x3041, 180), 0),  # kana
    (1, _letters(0xE01, 58), _letters(0xE01, 58), 0),  # Thai
    (1, _letters(0x3B1, 25), _letters(0x3B1, 25), 0.76),  # Greek
    (1, _letters(0x5D0, 27), _letters(0x5D0, 27), 0.76),  # Hebrew
    (1, _letters(0x1F300, 600), _letters(0x1F300, 600), 0),  # emoji
]

"""The decoder of a `tokenizers` tokenizer, read as a function of one token: the bytes it adds in the middle of a text.

A decoder is a pipeline over the list of all token strings. Each step here maps one token on its own, as `str` while it
is text and `bytes` once it is bytes. That is possible for the decoders below except at the two ends of a text:

- at its start Metaspace, WordPiece, a final Strip, and no decoder at all leave out one space: `strips_leading_space`.
  (Metaspace leaves out every "▁" of the first token, and WordPiece keeps the "##" of a first "##ing"; a text that
  follows a prompt has no such first token, and these bytes are the ones for the middle.)
- at its end BPEDecoder leaves out the space of the last "</w>"; here it stays.

Anything else that depends on the neighbours is an error that names the decoder.
"""

import re
from collections.abc import Callable

from dgemma_constrain.errors import VocabularyError

Piece = str | bytes


def read_decoder(pieces: list[str], decoder: dict | None) -> tuple[list[bytes], bool]:
    """(the bytes of each piece, strips_leading_space) under a serialized decoder; None joins tokens with spaces."""
    if decoder is None:
        return [f" {piece}".encode() for piece in pieces], True
    fused = strips = False
    steps = decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]
    for step in steps:
        kind = step["type"]
        if fused and kind != "Fuse":
            if kind != "Strip" or step["stop"] or step["start"] > 1 or step["content"] != " ":
                raise VocabularyError(f"cannot read a {kind} decoder that works on the whole text: {step}")
            strips = strips or step["start"] == 1
            continue
        if kind not in _STEPS:
            raise VocabularyError(f"cannot read the decoder {kind}: {step}")
        one = _STEPS[kind](step)
        pieces = [one(piece) if type(piece) is str else piece for piece in pieces]
        fused = fused or kind in ("Fuse", "ByteLevel")
        strips = strips or kind == "WordPiece" or (kind == "Metaspace" and step["prepend_scheme"] != "never")
    return [piece.encode() if type(piece) is str else piece for piece in pieces], strips


def byte_level(piece: str) -> bytes:
    """GPT-2's printable stand-ins for bytes, back to bytes; a piece with any other character is its own UTF-8."""
    try:
        return piece.translate(_BYTE_LEVEL).encode("latin-1")
    except UnicodeEncodeError:
        return piece.encode()


def byte_fallback(piece: str) -> Piece:
    """The byte E2 for the piece "<0xE2>"; any other piece is itself."""
    return bytes([int(piece[3:5], 16)]) if len(piece) == 6 and _BYTE.match(piece) else piece


def word_piece(prefix: str, cleanup: bool) -> Callable[[str], str]:
    """A piece with the prefix goes on a word, any other starts one; cleanup then removes spaces of English text."""

    def one(piece: str) -> str:
        piece = piece[len(prefix) :] if piece.startswith(prefix) else " " + piece
        if cleanup:
            for spaced, tight in _CLEANUP:
                piece = piece.replace(spaced, tight)
        return piece

    return one


def _replace(step: dict) -> Callable[[str], str]:
    if "String" not in step["pattern"]:
        raise VocabularyError(f"cannot read a Replace decoder with a regular expression: {step}")
    old, new = step["pattern"]["String"], step["content"]
    return lambda piece: piece.replace(old, new)


def _strip(step: dict) -> Callable[[str], str]:
    content = re.escape(step["content"])
    ends = re.compile(rf"\A(?:{content}){{0,{step['start']}}}|(?:{content}){{0,{step['stop']}}}\Z")
    return lambda piece: ends.sub("", piece)


def _byte_level_table() -> dict[int, str]:
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    table = {byte: chr(byte) if byte in printable else "\uffff" for byte in range(256)}  # U+FFFF: not in latin-1
    others = (byte for byte in range(256) if byte not in printable)
    return table | {256 + i: chr(byte) for i, byte in enumerate(others)}


_BYTE_LEVEL = _byte_level_table()
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_CLEANUP = [(" " + mark, mark) for mark in ".?!,"] + [(" ' ", "'"), (" n't", "n't"), (" 'm", "'m")]
_CLEANUP += [(" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re")]

_STEPS: dict[str, Callable[[dict], Callable[[str], Piece]]] = {
    "Replace": _replace,
    "Strip": _strip,
    "ByteFallback": lambda step: byte_fallback,
    "Fuse": lambda step: lambda piece: piece,
    "ByteLevel": lambda step: byte_level,
    "Metaspace": lambda step: lambda piece: piece.replace(step["replacement"], " "),
    "WordPiece": lambda step: word_piece(step["prefix"], step["cleanup"]),
    "BPEDecoder": lambda step: lambda piece: piece.replace(step["suffix"], " "),
}

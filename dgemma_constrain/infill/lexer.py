"""A grammar wheel's own lexer and external scanner, driven over a text of ours.

Both are C functions that read through callbacks in a `TSLexer` struct. The callbacks are numba `@cfunc`s, so that no Python
runs while a token is read: some 1 µs a token, against 16 µs with callbacks of ctypes.
"""

from __future__ import annotations

import ctypes as C
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import carray, cfunc, types
from numba.extending import intrinsic

from dgemma_constrain.infill.tables import Tables

# The struct's words (int64), ours behind it: 0 lookahead int32 and result uint16; 1-6 callbacks; then
_TEXT, _LENGTH, _AT, _END, _START, _SAW_END, _WORDS = 7, 8, 9, 10, 11, 12, 16
NO_LEXER = 0xFFFF


@intrinsic
def _pointer(context, address):
    def make(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int32)(types.int64), make


_STRUCT = types.CPointer(types.int64)


@cfunc(types.void(_STRUCT, types.boolean), cache=True)
def _advance(struct, skip):
    w = carray(struct, (_WORDS,))
    if w[_AT] < w[_LENGTH]:
        w[_AT] += 1
    if skip:
        w[_START] = w[_AT]
    code = np.int64(0)
    if w[_AT] < w[_LENGTH]:
        code = np.int64(carray(_pointer(w[_TEXT]), (w[_LENGTH],))[w[_AT]])
    else:
        w[_SAW_END] = 1
    w[0] = ((w[0] >> 32) << 32) | code


@cfunc(types.void(_STRUCT), cache=True)
def _mark_end(struct):
    w = carray(struct, (_WORDS,))
    w[_END] = w[_AT]


@cfunc(types.uint32(_STRUCT), cache=True)
def _column(struct):
    w = carray(struct, (_WORDS,))
    text = carray(_pointer(w[_TEXT]), (w[_LENGTH],))
    at, column = w[_AT] - 1, np.uint32(0)
    while at >= 0 and text[at] != 10:
        column += np.uint32(1)
        at -= 1
    return column


@cfunc(types.boolean(_STRUCT), cache=True)
def _range_start(struct):
    return False


@cfunc(types.boolean(_STRUCT), cache=True)
def _eof(struct):
    w = carray(struct, (_WORDS,))
    return w[_AT] >= w[_LENGTH]


@cache
def _log():
    return C.CFUNCTYPE(None, C.c_void_p, C.c_char_p)(lambda lexer, message: None)


class Token(NamedTuple):
    """symbol, and where it stands; scanner: the external scanner's state behind it. touched: whether it was read up to the
    text's end, so that more text could make another token of it."""

    symbol: int
    start: int
    end: int
    scanner: bytes
    touched: bool


class Lexer:
    """Reads tokens of `text`, int32[n] code points, which is set by `read`. Not for two threads at once."""

    def __init__(self, tables: Tables):
        self.tables, raw = tables, tables.raw
        self._w = np.zeros(_WORDS, np.int64)
        for i, callback in enumerate((_advance, _mark_end, _column, _range_start, _eof)):
            self._w[1 + i] = callback.address
        self._w[6] = C.cast(_log(), C.c_void_p).value
        self._struct = self._w.ctypes.data
        lex = C.CFUNCTYPE(C.c_bool, C.c_void_p, C.c_uint16)
        self._lex = lex(raw.lex_fn)
        self._keywords = lex(raw.keyword_lex_fn) if raw.keyword_lex_fn else None
        self.initial, self._payload = b"", None
        self.scanner_open = False
        count = raw.external_token_count
        self._external = count > 0  # whose scanner may well have no state: its payload is NULL then
        if self._external:
            scanner = raw.scanner
            self._symbols = [scanner.symbol_map[i] for i in range(count)]
            self._scan = C.CFUNCTYPE(C.c_bool, C.c_void_p, C.c_void_p, C.c_void_p)(scanner.scan)
            self._serialize = C.CFUNCTYPE(C.c_uint32, C.c_void_p, C.c_char_p)(scanner.serialize)
            self._deserialize = C.CFUNCTYPE(None, C.c_void_p, C.c_char_p, C.c_uint32)(scanner.deserialize)
            self._payload = C.CFUNCTYPE(C.c_void_p)(scanner.create)()
            self._destroy = C.CFUNCTYPE(None, C.c_void_p)(scanner.destroy)
            self._valid = C.cast(scanner.states, C.c_void_p).value
            self._buffer = C.create_string_buffer(1024)
            self.initial = self._state()

    def __del__(self):
        if getattr(self, "_payload", None):
            self._destroy(self._payload)

    def _state(self) -> bytes:
        length = self._serialize(self._payload, self._buffer)
        return self._buffer.raw[:length]

    def read(self, text: np.ndarray) -> None:
        self._text = text  # kept alive as long as the struct points at it
        self._w[_TEXT], self._w[_LENGTH] = text.ctypes.data, len(text)

    def _go(self, at: int) -> None:
        w, length = self._w, len(self._text)
        w[_AT] = w[_START] = at
        w[_END] = -1
        w[_SAW_END] = at >= length
        w[0] = int(self._text[at]) if at < length else 0

    def _read(self) -> tuple[int, int, int]:
        """symbol, start and end of the token that was just read."""
        symbol, end = (int(self._w[0]) >> 32) & 0xFFFF, int(self._w[_END])
        return symbol, int(self._w[_START]), end if end >= 0 else int(self._w[_AT])

    def token(self, state: int, at: int, scanner: bytes) -> Token | None:
        """The token at `at` in a parse state; None for a lexical error. Then, too, `scanner_open` says whether the external
        scanner ran into the text's end without finding a token that the state takes: an open string, say."""
        mode, external = self.tables.lex_modes[state]
        self.scanner_open = False
        if mode == NO_LEXER:
            return Token(0, at, at, scanner, False)
        touched = False
        if external and self._external:
            self._deserialize(self._payload, scanner, len(scanner))
            self._go(at)
            found = self._scan(
                self._payload, self._struct, self._valid + external * self.tables.raw.external_token_count
            )
            touched = bool(self._w[_SAW_END])
            index = (int(self._w[0]) >> 32) & 0xFFFF
            # Python's scanner may answer with a dedent that isn't valid at the end of the text.
            taken = found and self.tables.row(state).get(self._symbols[index])
            self.scanner_open = touched and not taken
            if found:
                _, start, end = self._read()
                return Token(self._symbols[index], start, end, self._state(), touched)
        self._go(at)
        if not self._lex(self._struct, mode):
            return None
        touched |= bool(self._w[_SAW_END])
        symbol, start, end = self._read()
        if self._keywords is not None and symbol == self.tables.raw.keyword_capture_token:
            self._go(start)
            if self._keywords(self._struct, 0):
                keyword, _, stop = self._read()
                if stop == end and self.tables.row(state).get(keyword):
                    symbol = keyword
        return Token(symbol, start, end, scanner, touched)

    def runs_out(self, state: int, at: int) -> bool:
        """Whether the lexer, which finds no token at `at`, gave up only at the text's end: `!` of `!=`."""
        self._go(at)
        self._lex(self._struct, self.tables.lex_modes[state][0])
        return bool(self._w[_SAW_END])

"""A tree-sitter wheel's LR tables as arrays, read as they lie in memory.

Layout: `struct TSLanguage` of tree_sitter/parser.h, ABI 14 and 15, the header that every grammar wheel is compiled against.
What is read is compared with what the binding itself says of the same grammar before it is used.
"""

from __future__ import annotations

import ctypes as C
from functools import cache
from typing import NamedTuple

import numpy as np

from dgemma_constrain.errors import LanguageError
from dgemma_constrain.infill.languages import capsule, grammar
from dgemma_constrain.infill.lexer import STATE

SHIFT, REDUCE, ACCEPT, RECOVER = 0, 1, 2, 3
SKIP = 4  # a shift that a reduction does as well: tree-sitter's mark of a repetition
_u8, _u16, _u32, _at = C.c_uint8, C.c_uint16, C.c_uint32, C.c_void_p


class _External(C.Structure):
    _fields_ = [
        ("states", _at),
        ("symbol_map", _at),
        *((n, _at) for n in ("create", "destroy", "scan", "save", "load")),
    ]


class _Language(C.Structure):
    _fields_ = [
        *((n, _u32) for n in ("abi", "symbols", "aliases", "tokens", "externals", "states", "large", "productions", "fields")),
        ("max_alias", _u16),
        *((n, _at) for n in ("table", "small", "small_map", "actions", "symbol_names", "field_names", "field_slices")),
        *((n, _at) for n in ("field_entries", "metadata", "public", "alias_map", "alias_sequences", "lex_modes")),
        *((n, _at) for n in ("lex", "keyword_lex")),
        ("keyword_capture", _u16),
        ("external", _External),
        *((n, _at) for n in ("primary", "name", "reserved")),
        ("most_reserved", _u16),
    ]  # fmt: skip


class Tables(NamedTuple):
    """One grammar. S states (1 is the first), Y symbols, of which the first T are terminals (0 is the end of the text).

    table      int32[S, Y]: of a terminal the row in `starts` of its actions, 0 none; of another symbol the next state, 0 none
    starts     int32[A+1]: actions of row a are starts[a]:starts[a+1]
    actions    int32[M, 3]: (SHIFT, state or 0 for one that stays, -), (REDUCE, symbol, how many), (ACCEPT, -, -), (SKIP, state, -)
    modes      int32[S, 3]: the lexer's mode, 0xffff for no token; the row of valid external tokens; the set of reserved words
    externals  int32[X]: the symbol of each external token
    reserved   bool[R, T]: the keywords that a set reserves
    calls      int64[7]: addresses of lexer, keyword lexer (or 0), scanner's scan, save, load, its object; rows of valid tokens
    capture    the terminal that keywords are found in, or 0
    """

    table: np.ndarray
    starts: np.ndarray
    actions: np.ndarray
    modes: np.ndarray
    externals: np.ndarray
    reserved: np.ndarray
    calls: np.ndarray
    capture: int
    names: tuple[str, ...]


def _array(address: int, kind: type, count: int) -> np.ndarray:
    return np.ctypeslib.as_array((kind * max(count, 1)).from_address(address))[:count].copy()


def _raw(language: str) -> _Language:
    pointer = C.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = C.c_void_p, [C.py_object, C.c_char_p]
    return _Language.from_address(pointer(capsule(language), b"tree_sitter.Language"))


@cache
def tables(language: str) -> Tables:
    """The tables of a language's grammar. Raises LanguageError where the wheel is of another ABI, or the check fails."""
    raw = _raw(language)
    if raw.abi not in (14, 15):
        raise LanguageError(f"the grammar of {language} has ABI {raw.abi}; tables are read of 14 and 15")
    table = _table(raw)
    starts, actions = _actions(raw, int(table[:, : raw.tokens].max()))
    width = 3 if raw.abi == 15 else 2
    modes = np.zeros((raw.states, 3), np.int32)
    modes[:, :width] = _array(raw.lex_modes, _u16, raw.states * width).reshape(-1, width)
    outer, scanner = raw.external, 0
    if raw.externals and outer.create:
        scanner = C.CFUNCTYPE(C.c_void_p)(outer.create)() or 0
    calls = [raw.lex, raw.keyword_lex, outer.scan, outer.save, outer.load, scanner, outer.states]
    read = Tables(
        table, starts, actions, modes,
        _array(outer.symbol_map, _u16, raw.externals).astype(np.int32) if raw.externals else np.zeros(0, np.int32),
        _reserved(raw, int(modes[:, 2].max())),
        np.array([address or 0 for address in calls], np.int64),
        raw.keyword_capture if raw.keyword_lex else 0,
        tuple((n or b"").decode() for n in (C.c_char_p * raw.symbols).from_address(raw.symbol_names)),
    )  # fmt: skip
    _check(language, read, raw.tokens)
    return read


@cache
def unread(language: str) -> bytes:
    """The state of a scanner that has read nothing yet: one that loads b"" may keep some of its state, as Python's does."""
    outer, state = _raw(language).external, (_u8 * STATE)()
    if not outer.create:
        return b""
    scanner = C.CFUNCTYPE(_at)(outer.create)()
    size = C.CFUNCTYPE(_u32, _at, _at)(outer.save)(scanner, C.addressof(state))
    C.CFUNCTYPE(None, _at)(outer.destroy)(scanner)
    return bytes(state[:size])


def _table(raw: _Language) -> np.ndarray:
    """Large states lie as whole rows; each small one as groups of a value and the symbols that have it."""
    table = np.zeros((raw.states, raw.symbols), np.int32)
    table[: raw.large] = _array(raw.table, _u16, raw.large * raw.symbols).reshape(raw.large, raw.symbols)
    small = (_u16 * (1 << 30)).from_address(raw.small) if raw.states > raw.large else ()
    for state, at in enumerate(_array(raw.small_map, _u32, raw.states - raw.large), raw.large) if small else ():
        at = int(at)
        groups, at = small[at], at + 1
        for _ in range(groups):
            value, count = small[at], small[at + 1]
            table[state, small[at + 2 : at + 2 + count]] = value
            at += 2 + count
    return table


def _actions(raw: _Language, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Entries of 8 bytes: a count, then so many actions. A row's number in the table is where its count lies."""
    entries = (_u8 * (8 * (last + 256))).from_address(raw.actions)
    starts, actions, at = np.zeros(last + 2, np.int32), [], 0
    while at <= last:
        count = entries[8 * at]
        for one in range(8 * (at + 1), 8 * (at + 1 + count), 8):
            kind, near, wide = entries[one], entries[one + 1], entries[one + 2] | entries[one + 3] << 8
            if kind == SHIFT:
                extra, again = entries[one + 4], entries[one + 5]
                actions.append((SKIP if again else SHIFT, 0 if extra else wide, 0))
            else:
                actions.append((REDUCE, wide, near) if kind == REDUCE else (kind, 0, 0))
        starts[at + 1 : at + count + 2] = len(
            actions
        )  # the next row, and the places inside this one, which none asks for
        at += count + 1
    return starts, np.array(actions, np.int32).reshape(-1, 3)


def _reserved(raw: _Language, last: int) -> np.ndarray:
    reserved = np.zeros((last + 1, raw.tokens), bool)
    if raw.abi == 15 and raw.reserved and raw.most_reserved:
        words = _array(raw.reserved, _u16, (last + 1) * raw.most_reserved).reshape(last + 1, -1)
        for row, one in zip(reserved, words, strict=True):
            row[one[one > 0]] = True
    return reserved


def _check(language: str, read: Tables, tokens: int) -> None:
    """What the binding says of some hundred states, against what was read. Raises LanguageError."""
    binding = grammar(language)
    states, symbols = read.table.shape
    for state in range(1, states, max(1, states // 200)):
        for symbol in range(1, symbols):
            value = read.table[state, symbol]
            if symbol < tokens:
                row = read.actions[read.starts[value] : read.starts[value + 1]] if value else read.actions[:0]
                ours = int(row[-1][1] or state) if len(row) and row[-1][0] in (SHIFT, SKIP) else 0
            else:
                ours = int(value)
            if binding.next_state(state, symbol) != ours:
                raise LanguageError(
                    f"the grammar of {language} could not be read: its state {state} differs from tree-sitter's"
                )

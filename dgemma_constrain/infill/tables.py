"""The LR tables of a compiled tree-sitter grammar, read from the wheel's own memory.

The layout is `struct TSLanguage` of tree_sitter/parser.h, ABI 14 and 15, against which every grammar wheel is compiled. What is
read is checked against the binding's own `Language.next_state` before it is used.
"""

from __future__ import annotations

import ctypes as C
from functools import cache

from dgemma_constrain.infill.languages import capsule, grammar

SHIFT, REDUCE, ACCEPT = 0, 1, 2
ABIS = (14, 15)
CHECKED = 4000  # pairs of state and symbol that are compared with the binding
_u8, _u16, _u32 = C.c_uint8, C.c_uint16, C.c_uint32


class _Scanner(C.Structure):
    _fields_ = [
        ("states", C.POINTER(C.c_bool)), ("symbol_map", C.POINTER(_u16)), ("create", C.c_void_p), ("destroy", C.c_void_p),
        ("scan", C.c_void_p), ("serialize", C.c_void_p), ("deserialize", C.c_void_p),
    ]  # fmt: skip


class _Language(C.Structure):
    _fields_ = [
        *[(name, _u32) for name in (
            "abi", "symbol_count", "alias_count", "token_count", "external_token_count", "state_count", "large_state_count",
            "production_id_count", "field_count",
        )],
        ("max_alias_sequence_length", _u16), ("parse_table", C.POINTER(_u16)), ("small_parse_table", C.POINTER(_u16)),
        ("small_parse_table_map", C.POINTER(_u32)), ("parse_actions", C.POINTER(_u8)), ("symbol_names", C.POINTER(C.c_char_p)),
        ("field_names", C.POINTER(C.c_char_p)), ("field_map_slices", C.c_void_p), ("field_map_entries", C.c_void_p),
        ("symbol_metadata", C.POINTER(_u8)), ("public_symbol_map", C.POINTER(_u16)), ("alias_map", C.c_void_p),
        ("alias_sequences", C.c_void_p), ("lex_modes", C.POINTER(_u16)), ("lex_fn", C.c_void_p), ("keyword_lex_fn", C.c_void_p),
        ("keyword_capture_token", _u16), ("scanner", _Scanner),
    ]  # fmt: skip


class Tables:
    """names: of symbols. lex_modes: state → (mode of the lexer, of the external scanner)."""

    def __init__(self, language: str):
        pointer = C.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = C.c_void_p, [C.py_object, C.c_char_p]
        self._kept = capsule(language)  # keeps the memory alive
        raw = self.raw = _Language.from_address(pointer(self._kept, b"tree_sitter.Language"))
        if raw.abi not in ABIS:
            raise ValueError(f"ABI {raw.abi} of {language} is none of {ABIS}")
        self.names = [raw.symbol_names[i].decode("utf8", "replace") for i in range(raw.symbol_count)]
        width = 3 if raw.abi >= 15 else 2  # ABI 15 adds the set of reserved words, which is not modelled
        modes = raw.lex_modes
        self.lex_modes = [(modes[width * i], modes[width * i + 1]) for i in range(raw.state_count)]
        self._rows: dict[int, dict[int, int]] = {}
        self._actions: dict[int, tuple[tuple[int, ...], ...]] = {}
        self._check(grammar(language))

    def row(self, state: int) -> dict[int, int]:
        """symbol → index of its actions (terminals) or the state that it leads to (nonterminals)."""
        found = self._rows.get(state)
        if found is None:
            raw = self.raw
            if state < raw.large_state_count:
                base = state * raw.symbol_count
                values = raw.parse_table[base : base + raw.symbol_count]
                found = {symbol: value for symbol, value in enumerate(values) if value}
            else:
                found, table = {}, raw.small_parse_table
                at = raw.small_parse_table_map[state - raw.large_state_count]
                groups, at = table[at], at + 1
                for _ in range(groups):
                    value, count = table[at], table[at + 1]
                    found.update(dict.fromkeys(table[at + 2 : at + 2 + count], value))
                    at += 2 + count
            self._rows[state] = found
        return found

    def actions(self, state: int, symbol: int) -> tuple[tuple[int, ...], ...]:
        """(SHIFT, state, is extra, is repetition), (REDUCE, children, symbol) and (ACCEPT,)."""
        index = self.row(state).get(symbol)
        if not index:
            return ()
        found = self._actions.get(index)
        if found is None:
            table, all_ = self.raw.parse_actions, []
            for k in range(1, table[8 * index] + 1):
                at = 8 * (index + k)
                kind = table[at]
                if kind == SHIFT:
                    all_.append((SHIFT, table[at + 2] | table[at + 3] << 8, table[at + 4], table[at + 5]))
                elif kind == REDUCE:
                    all_.append((REDUCE, table[at + 1], table[at + 2] | table[at + 3] << 8))
                elif kind == ACCEPT:
                    all_.append((ACCEPT,))
            found = self._actions[index] = tuple(all_)
        return found

    def _check(self, language) -> None:
        """Compare with the binding: a shift's or goto's state. Raises ValueError where they differ."""
        raw, compared = self.raw, 0
        step = max(1, raw.state_count // 97)
        for state in range(1, raw.state_count, step):
            for symbol, value in self.row(state).items():
                if raw.public_symbol_map[symbol] != symbol:
                    continue
                if symbol >= raw.token_count:
                    ours = value
                else:
                    last = self.actions(state, symbol)[-1:]
                    if not last or last[0][0] != SHIFT:
                        continue
                    ours = state if last[0][2] else last[0][1]
                if language.next_state(state, symbol) != ours:
                    raise ValueError(f"state {state}, symbol {symbol}: the tables aren't where they are expected")
                compared += 1
            if compared > CHECKED:
                break
        if not compared:
            raise ValueError("nothing of the tables could be checked")


@cache
def tables(language: str) -> Tables | None:
    """The tables of a language; None where they can't be read, so that only the judge is left."""
    try:
        return Tables(language)
    except (ValueError, AttributeError):
        return None

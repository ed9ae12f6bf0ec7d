"""A wheel's own lexer and external scanner, driven from a kernel: no call leaves compiled code.

The wheel wants a `TSLexer`, a struct of the next character and of functions that move on. Here the struct is the head of an
int64 array, the functions are numba callbacks, and what they need lies behind the struct in the same array.
"""

from __future__ import annotations

import numpy as np
from numba import carray, cfunc, types
from numba.extending import intrinsic

from dgemma_constrain.automata.kernels import kernel

# Words of the array. NOW: the next character, and above it the symbol that was found; then the functions.
NOW, ADVANCE, MARK, COLUMN, BEGIN, ENDED, LOG, TEXT, LENGTH, AT, FAR, END, START, TOUCHED, SCANNED, KEYWORD, WORDS = (
    range(17)
)
STATE = 1024  # bytes, the most that a scanner's state takes (TREE_SITTER_SERIALIZATION_BUFFER_SIZE)
_block = types.CPointer(types.int64)


@intrinsic
def _characters(typing, address):
    """int32* at an address."""
    pointer = types.CPointer(types.int32)
    return pointer(types.int64), lambda context, b, s, a: b.inttoptr(a[0], context.get_value_type(pointer))


def _calling(result, *parameters):
    """An intrinsic that calls the C function at an address: numba caches it, as it cannot a ctypes function."""

    @intrinsic
    def call(typing, address, arguments):
        def build(context, builder, signature, values):
            from llvmlite import ir

            kinds = [context.get_value_type(p) for p in parameters]
            function = ir.FunctionType(
                ir.IntType(8) if result == types.boolean else context.get_value_type(result), kinds
            )
            given = [builder.extract_value(values[1], i) for i in range(len(parameters))]
            given = [_cut(builder, one, kind) for one, kind in zip(given, kinds, strict=True)]
            made = builder.call(builder.inttoptr(values[0], function.as_pointer()), given)
            if result == types.boolean:
                made = builder.zext(builder.trunc(made, ir.IntType(1)), ir.IntType(64))
            elif result == types.void:
                made = ir.Constant(ir.IntType(64), 0)
            else:
                made = builder.zext(made, ir.IntType(64))
            return made

        return types.int64(types.int64, arguments), build

    return call


def _cut(builder, value, kind):
    return value if value.type == kind else builder.trunc(value, kind)


_lex = _calling(types.boolean, types.int64, types.uint16)
_scan = _calling(types.boolean, types.int64, types.int64, types.int64)
_save = _calling(types.uint32, types.int64, types.int64)
_load = _calling(types.void, types.int64, types.int64, types.uint32)


@cfunc(types.void(_block, types.boolean), cache=True)
def _advance(block, skip):
    w = carray(block, (WORDS,))
    at, length = w[AT], w[LENGTH]
    if at < length:
        at += 1
    w[AT] = at
    w[FAR] = max(w[FAR], at)
    if skip:
        w[START] = at
    now = np.int64(0)
    if at < length:
        now = np.int64(carray(_characters(w[TEXT]), (length,))[at])
    else:
        w[TOUCHED] = 1
    w[NOW] = ((w[NOW] >> 32) << 32) | now


@cfunc(types.void(_block), cache=True)
def _mark(block):
    w = carray(block, (WORDS,))
    w[END] = w[AT]


@cfunc(types.uint32(_block), cache=True)
def _column(block):
    w = carray(block, (WORDS,))
    text, at, column = carray(_characters(w[TEXT]), (w[LENGTH],)), w[AT] - 1, np.uint32(0)
    while at >= 0 and text[at] != 10:
        column += np.uint32(1)
        at -= 1
    return column


@cfunc(types.boolean(_block), cache=True)
def _begin(block):
    return False


@cfunc(types.boolean(_block), cache=True)
def _ended(block):
    w = carray(block, (WORDS,))
    return w[AT] >= w[LENGTH]


@cfunc(types.void(_block, types.int64), cache=True)
def _log(block, message):
    return


def new_block() -> np.ndarray:
    """int64[WORDS]; not for two threads at once."""
    block = np.zeros(WORDS, np.int64)
    block[ADVANCE : LOG + 1] = [f.address for f in (_advance, _mark, _column, _begin, _ended, _log)]
    return block


@kernel
def _from(block, text, at):
    if at == 0 and len(text) and text[0] == 0xFEFF:
        at = np.int64(1)
    block[AT] = at
    block[FAR] = max(block[FAR], at)
    block[START] = at
    block[END] = -1
    block[NOW] = np.int64(text[at]) if at < len(text) else np.int64(0)
    if at >= len(text):
        block[TOUCHED] = 1


@kernel
def token(tables, block, text, state, at, saved, size, room):
    """The next token in an LR state, as tree-sitter's parser asks for it: (symbol or -1, its end, size of the scanner's state).

    text int32[N], at: a place in it; saved uint8[STATE], size: the scanner's state before the token; room uint8[STATE]: its
    state after it. block[TOUCHED] says whether the end of the text was looked at, block[FAR] the last place that was, block[START] where the token begins,
    block[KEYWORD] whether it is one that the word token could be, too, and block[SCANNED] what the external scanner did:
    0 it didn't look at the end of the text, 1 it did and found nothing, 2 it did and found the token.
    """
    calls = tables.calls
    block[TEXT] = text.ctypes.data
    block[LENGTH] = len(text)
    block[TOUCHED] = block[SCANNED] = block[KEYWORD] = block[FAR] = 0
    mode, outer, reserved = tables.modes[state, 0], tables.modes[state, 1], tables.modes[state, 2]
    for i in range(size):
        room[i] = saved[i]
    if mode == 0xFFFF:
        return np.int64(0), at, size
    where = np.int64(block.ctypes.data)
    if outer and calls[2]:
        _load_state(calls, room, size)
        _from(block, text, at)
        if _scan(calls[2], (calls[5], where, calls[6] + outer * len(tables.externals))):
            symbol = np.int64(tables.externals[(block[NOW] >> 32) & 0xFFFF])
            block[SCANNED] = 2 * block[TOUCHED]
            size = np.int64(_save(calls[3], (calls[5], np.int64(room.ctypes.data))))
            return symbol, block[END] if block[END] >= 0 else block[AT], size
        block[SCANNED] = block[TOUCHED]
    _from(block, text, at)
    if not _lex(calls[0], (where, np.int64(mode))):
        return np.int64(-1), at, size
    symbol, start = (block[NOW] >> 32) & 0xFFFF, block[START]
    end = block[END] if block[END] >= 0 else block[AT]
    if tables.capture and symbol == tables.capture:
        _from(block, text, start)
        if _lex(calls[1], (where, np.int64(0))) and (block[END] if block[END] >= 0 else block[AT]) == end:
            word = (block[NOW] >> 32) & 0xFFFF
            if tables.table[state, word] or tables.reserved[reserved, word]:
                symbol = word
                block[KEYWORD] = 1
    return symbol, end, size


@kernel
def grown(tables, block, text, mode):
    """The token at the start of a text, by the inner lexer alone: (symbol or -1, its end); block[TOUCHED] as in `token`."""
    block[TEXT] = text.ctypes.data
    block[LENGTH] = len(text)
    block[TOUCHED] = 0
    _from(block, text, np.int64(0))
    if not _lex(tables.calls[0], (np.int64(block.ctypes.data), np.int64(mode))):
        return np.int64(-1), np.int64(0)
    return (block[NOW] >> 32) & 0xFFFF, block[END] if block[END] >= 0 else block[AT]


@kernel
def keywords(tables, block, words):
    """How many keywords there are: into the rows of words int32[W, 1 + longest + 1] go the symbol and the spelling, 0 behind it.

    Prefixes are tried depth first: the keyword lexer goes on past what it was given for as long as a keyword begins so.
    """
    text, n, tries, count = np.zeros(words.shape[1] - 2, np.int32), np.int64(1), np.int64(0), np.int64(0)
    text[0] = 32
    while n and count < len(words) and tries < 1000000:  # a lexer that takes words of any length would never end
        tries += 1
        text[n - 1] += 1
        if text[n - 1] > 126:
            n -= 1
            continue
        block[TEXT] = text.ctypes.data
        block[LENGTH] = n
        _from(block, text, np.int64(0))
        if _lex(tables.calls[1], (np.int64(block.ctypes.data), np.int64(0))) and block[END] == n:
            words[count, 0] = (block[NOW] >> 32) & 0xFFFF
            for i in range(n):
                words[count, 1 + i] = text[i]
            count += 1
        if block[AT] == n and n < len(text):
            text[n] = 32
            n += 1
    return count


@kernel
def _load_state(calls, room, size):
    return _load(calls[4], (calls[5], np.int64(room.ctypes.data), np.int64(size)))

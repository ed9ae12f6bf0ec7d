"""A wheel's own lexer and external scanner, driven from a kernel: no call leaves compiled code.

The wheel wants a `TSLexer`, a struct of the next character and of functions that move on. Here the struct is the head of an
int64 array, the functions are numba callbacks, and what they need lies behind the struct in the same array.
"""

from __future__ import annotations

import numpy as np
from numba import carray, cfunc, types
from numba.extending import intrinsic

from dgemma_constrain.automata.kernels import bare, kernel

# Words of the array. NOW: the next character, and above it the symbol that was found; then the functions.
(
    NOW, ADVANCE, MARK, COLUMN, BEGIN, ENDED, LOG, TEXT, LENGTH, AT, FAR, END, START, TOUCHED, SCANNED, WORD,
    ASKED, GAP, BEHIND, WORDS,
) = range(20)  # fmt: skip
STATE = 1024  # bytes, the most that a scanner's state takes (TREE_SITTER_SERIALIZATION_BUFFER_SIZE)
_block = types.CPointer(types.int64)


@intrinsic
def _characters(typing, address):
    """int32* at an address."""
    pointer = types.CPointer(types.int32)
    return pointer(types.int64), lambda context, b, s, a: b.inttoptr(a[0], context.get_value_type(pointer))


@intrinsic
def pointer(typing, address):
    """void* at an address."""
    return types.voidptr(types.int64), lambda context, b, s, a: b.inttoptr(a[0], context.get_value_type(types.voidptr))


@intrinsic
def _halves(typing, block):
    """The block as int32*."""
    pointer = types.CPointer(types.int32)
    return pointer(block), lambda context, b, s, a: b.bitcast(a[0], context.get_value_type(pointer))


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
    if at == w[GAP]:
        at = w[BEHIND]
    w[AT] = at
    if skip:
        w[START] = at
    now = np.int32(0)
    if at < length:
        now = carray(_characters(w[TEXT]), (length,))[at]
    carray(_halves(block), (1,))[0] = now


@cfunc(types.void(_block), cache=True)
def _mark(block):
    w = carray(block, (WORDS,))
    w[END] = w[AT]


@cfunc(types.uint32(_block), cache=True)
def _column(block):
    w = carray(block, (WORDS,))
    text, at, column = carray(_characters(w[TEXT]), (w[LENGTH],)), w[AT], np.uint32(0)
    w[ASKED] = 1
    while True:
        at = (w[GAP] if at == w[BEHIND] else at) - 1
        if at < 0 or text[at] == 10:
            return column
        column += np.uint32(1)


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
    block[GAP : BEHIND + 1] = -1
    return block


@bare
def _from(block, text, at):
    if at == 0 and len(text) and text[0] == 0xFEFF:
        at = np.int64(1)
    elif at == block[GAP]:
        at = np.int64(block[BEHIND])
    block[AT] = at
    block[START] = at
    block[END] = -1
    block[NOW] = np.int64(text[at]) if at < len(text) else np.int64(0)


@bare
def _read(block):
    """Note how far was read, and return where the token ends. A lexer only ever moves on."""
    if block[AT] > block[FAR]:
        block[FAR] = block[AT]
        block[TOUCHED] = block[AT] >= block[LENGTH]
    return block[END] if block[END] >= 0 else block[AT]


@bare
def token(tables, block, text, state, at, saved, size, room):
    """The next token in an LR state, as tree-sitter's parser asks for it: (symbol or -1, its end, size of the scanner's state).

    text int32[N], at: a place in it; saved uint8[STATE], size: the scanner's state before the token; room uint8[STATE]: its
    state after it. block[TOUCHED] says whether the end of the text was looked at, block[FAR] the last place that was, block[START]
    where the token begins, block[ASKED] whether what stands left of it on its line matters, and block[SCANNED] what the external scanner did: 0 it didn't look at the end of the text, 1 it did
    and found nothing, 2 it did and found the token. What stands from block[GAP] up to block[BEHIND] isn't there; -1 where all is.
    """
    mode, outer = tables.modes[state, 0], tables.modes[state, 1]
    if mode == 0xFFFF:
        for i in range(size):
            room[i] = saved[i]
        block[TOUCHED] = block[SCANNED] = block[FAR] = 0
        return np.int64(0), at, size
    symbol, end, size = lexed(tables, block, text, mode, outer, at, saved, size, room)
    word = block[WORD]
    if word and is_keyword(tables, state, word):
        symbol = word
    return symbol, end, size


@bare
def is_keyword(tables, state, word):
    """Whether a word that is a keyword is one in this state."""
    return tables.table[state, word] > 0 or tables.reserved[tables.modes[state, 2], word]


@bare
def lexed(tables, block, text, mode, outer, at, saved, size, room):
    """As `token`, whatever the state; block[WORD]: the keyword that the token may be, or 0."""
    calls = tables.calls
    block[TEXT] = text.ctypes.data
    block[LENGTH] = len(text)
    block[TOUCHED] = block[SCANNED] = block[WORD] = block[ASKED] = 0
    block[FAR] = -1
    for i in range(size):
        room[i] = saved[i]
    where = np.int64(block.ctypes.data)
    if outer and calls[2]:
        _load_state(calls, room, size)
        _from(block, text, at)
        if _scan(calls[2], (calls[5], where, calls[6] + outer * len(tables.externals))):
            symbol, end = np.int64(tables.externals[(block[NOW] >> 32) & 0xFFFF]), _read(block)
            block[SCANNED] = 2 * block[TOUCHED]
            size = np.int64(_save(calls[3], (calls[5], np.int64(room.ctypes.data))))
            return symbol, end, size
        _read(block)
        block[SCANNED] = block[TOUCHED]
    _from(block, text, at)
    found = _lex(calls[0], (where, np.int64(mode)))
    end = _read(block)
    if not found:
        return np.int64(-1), at, size
    symbol, start = (block[NOW] >> 32) & 0xFFFF, block[START]
    if tables.capture and symbol == tables.capture:
        _from(block, text, start)
        found = _lex(calls[1], (where, np.int64(0)))
        if _read(block) == end and found:
            block[WORD] = (block[NOW] >> 32) & 0xFFFF
        block[START] = start
    return symbol, end, size


@bare
def grown(tables, block, text, mode):
    """The token at the start of a text, by the inner lexer alone: (symbol or -1, its end); block[TOUCHED] as in `token`."""
    block[TEXT] = text.ctypes.data
    block[LENGTH] = len(text)
    block[TOUCHED], block[FAR] = 0, -1
    _from(block, text, np.int64(0))
    found = _lex(tables.calls[0], (np.int64(block.ctypes.data), np.int64(mode)))
    end = _read(block)
    if not found:
        return np.int64(-1), np.int64(0)
    return (block[NOW] >> 32) & 0xFFFF, end


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


@bare
def _load_state(calls, room, size):
    return _load(calls[4], (calls[5], np.int64(room.ctypes.data), np.int64(size)))

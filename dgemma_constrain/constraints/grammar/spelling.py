"""From sentences to texts: an automaton over terminals and the scanners of its states become one over characters.

What a scanner has matched is final only when nothing longer matches, which may show several characters later. So a
state of the result is a list of guesses, each a state of the sentence and one of its scanner. The first guess is that
the present terminal goes on; the next was read under the assumption that it ended where it last could, and so on.
When a guess matches a terminal, those behind it are forgotten, and one that begins the next terminal takes their
place. When it dies, its terminal did end there, and the next guess is the first. This is a scanner that reads ahead
and goes back, with both ways followed at once: deterministic, and every text is cut as the lexer cuts it. At the end
of a text the last guess counts: it must be at the beginning of a terminal, in an accepting state of the sentence.
"""

from __future__ import annotations

import numpy as np

from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import DFA, minimal
from dgemma_constrain.automata.interning import intern, new_heap, number_rows, roomy
from dgemma_constrain.automata.kernels import distances, grown, kernel, position, reversed_rows
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.constraints.grammar.guesses import GUESSES
from dgemma_constrain.constraints.grammar.lexer import Lexer

DEEP = Charset.marker(0)  # stands in a sentence where the rest is nested too deeply


def spell(sentences: DFA, lexer: Lexer, limits: Limits) -> DFA:
    """The texts whose terminals are a sentence.

    sentences: over terminal numbers as characters, and DEEP, behind which nothing counts. Raises LimitExceeded.
    """
    grammar = lexer.grammar
    terminals = np.arange(len(grammar.terminals))
    symbol_of = sentences.alphabet.of(terminals)
    plain = np.isin(sentences.symbols, symbol_of)  # one symbol may stand for a terminal and for DEEP
    offsets = np.append(0, np.cumsum(plain))[sentences.offsets]
    symbols, targets = sentences.symbols[plain], sentences.targets[plain]
    alive = distances(*reversed_rows(offsets, targets), sentences.accept) >= 0

    scanners, which = _scanners(offsets, symbols, symbol_of, lexer)
    ignored = np.zeros(len(terminals), bool)
    ignored[list(grammar.ignore)] = True
    first = np.cumsum([0, *(len(x.winner) for x in scanners)])
    edges = np.cumsum([0, *(len(x.symbols) for x in scanners)])
    sizes = np.diff(first)[which]
    *rows, status = _spelt(
        offsets, symbols, targets, sentences.accept, alive, symbol_of, ignored,
        np.concatenate([*(x.offsets[:-1] + e for x, e in zip(scanners, edges)), edges[-1:]]),
        np.concatenate([x.symbols for x in scanners]),
        np.concatenate([x.targets + f for x, f in zip(scanners, first)]),
        np.concatenate([x.winner for x in scanners]),
        first[which], np.cumsum([0, *(sizes + 1)]), lexer.alphabet.size, limits.states, limits.work,
    )  # fmt: skip
    limits.check(status, "a grammar as an automaton over characters")
    return minimal(lexer.alphabet, *rows)


def _scanners(offsets, symbols, symbol_of, lexer: Lexer):
    """The scanners, and which of them belongs to each state: that of the terminals which can follow there."""
    terminals = np.arange(len(symbol_of))
    numbers: dict[bytes, int] = {}
    scanners, which = [], np.empty(len(offsets) - 1, np.int64)
    for state in range(len(which)):
        row = symbols[offsets[state] : offsets[state + 1]]
        number = numbers.setdefault(row.tobytes(), len(numbers))
        if number == len(scanners):
            wanted = terminals[np.isin(symbol_of, row)].tolist()
            scanners.append(lexer.of(frozenset(wanted).union(lexer.grammar.ignore)))
        which[state] = number
    return scanners, which


@kernel
def _spelt(offsets, symbols, targets, accept, alive, symbol_of, ignored, scan_offsets, scan_symbols, scan_targets,
            scan_winner, scan_start, base, classes, max_states, max_work):  # fmt: skip
    """The rows of the result: (offsets, symbols, targets, accept, status).

    Guesses are numbers: base[q] is that of a terminal about to begin in sentence state q, and base[q] + 1 + y that of
    one whose scanner, the one that begins at scan_start[q], is y states further on.
    """
    sentence = np.empty(base[-1], np.int32)
    for q in range(len(base) - 1):
        for guess in range(base[q], base[q + 1]):
            sentence[guess] = q
    new_offsets = np.zeros(1025, np.int64)
    new_symbols, new_targets = np.empty(1024, np.int32), np.empty(1024, np.int32)
    new_accept = np.zeros(1024, np.bool_)
    row = np.empty((classes, GUESSES + 2), np.int32)  # the lists that each class leads to
    size = np.zeros(classes, np.int64)
    closed = np.zeros(classes, np.bool_)
    heap = new_heap()
    if alive[0]:
        intern(heap, np.full(1, base[0], np.int32), np.int64(1))
    used = work = np.int64(0)
    s = at = np.int64(0)
    while at < heap.size[0]:
        many = heap.items[at]
        new_accept = grown(new_accept, s + 1)
        new_accept[s] = False
        for c in range(classes):
            size[c] = 0
            closed[c] = False
        for k in range(at + 1, at + 1 + many):
            guess = heap.items[k]
            q = sentence[guess]
            here = scan_start[q] + max(guess - base[q] - 1, 0)
            new_accept[s] = guess == base[q] and accept[q]  # the last one counts
            for e in range(scan_offsets[here], scan_offsets[here + 1]):
                c = scan_symbols[e]
                if closed[c]:
                    continue
                if size[c] == GUESSES:
                    return new_offsets, new_symbols, new_targets, new_accept, 2
                there = scan_targets[e]
                won = scan_winner[there]
                if scan_offsets[there] < scan_offsets[there + 1]:
                    row[c, size[c]] = base[q] + 1 + there - scan_start[q]
                    size[c] += 1
                if won >= 0:
                    closed[c] = True
                    after = np.int64(q)
                    if not ignored[won]:
                        after = targets[position(symbols, offsets[q], offsets[q + 1], np.int64(symbol_of[won]))]
                    if alive[after]:
                        row[c, size[c]] = base[after]
                        size[c] += 1
            work += scan_offsets[here + 1] - scan_offsets[here]
        work += classes
        new_symbols, new_targets = grown(new_symbols, used + classes), grown(new_targets, used + classes)
        heap = roomy(heap, row.size, classes, np.int64(0))
        for c in range(classes):
            if size[c] > 0:
                new_symbols[used], new_targets[used] = c, intern(heap, row[c], size[c])
                used += 1
        s += 1
        at += 1 + many
        new_offsets = grown(new_offsets, s + 1)
        new_offsets[s] = used
        if heap.size[1] > max_states:
            return new_offsets, new_symbols, new_targets, new_accept, 1
        if work > max_work:
            return new_offsets, new_symbols, new_targets, new_accept, 2
    number_rows(heap, new_targets[:used])
    s = max(s, np.int64(1))
    return new_offsets[: s + 1], new_symbols[:used], new_targets[:used], new_accept[:s], 0

"""Automata over characters: sets, alphabets, NFA fragments, minimal DFAs, and their spelling in bytes.

Reading order: charset → alphabet → nfa → determinize → acyclic → minimize → dfa → product → encodings → suffix.
"""

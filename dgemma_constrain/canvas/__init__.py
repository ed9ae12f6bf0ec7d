"""Exact inference on a canvas of L tokens.

Reading order: compiled (constraint + vocabulary) → canvas (the questions) → dynamic (the dynamic program, one kernel a
semiring) → emissions (logits to one number a class).
"""

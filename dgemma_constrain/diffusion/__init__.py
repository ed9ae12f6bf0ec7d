"""Denoising: a model proposes, the canvas makes the proposal whole, a schedule decides what is kept.

Reading order: denoiser (what a model must be) → together (rows that run in one forward) → trace (what happened) → schedules →
denoise and renoise (the two loops, over one canvas) → blocks (a text of several) → writing (texts, candidates) → lengths,
revise → model (the object that people call).
"""

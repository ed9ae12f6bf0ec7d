"""Denoising: a model proposes, the canvas makes the proposal whole, a schedule decides what is kept.

Reading order: denoiser (what a model must be) → trace (what happened) → schedules → denoise (the loop) → model (the
object that people call).
"""

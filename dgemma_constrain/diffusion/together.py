"""Rows written together: each is a coroutine that asks the model and goes on with the answer; one forward serves all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generator, Sequence, TypeVar

from dgemma_constrain.diffusion.denoiser import Denoiser, Look, Question, Renoiser, ask
from dgemma_constrain.errors import ConstraintError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
Row = Generator["Question | Look", "tuple[torch.Tensor, float]", T]
"""Yields what it wants to know; is sent the logits float[stop-start, V] and the milliseconds that the forward took."""


def run(denoiser: Denoiser | Renoiser, rows: Sequence[Row[T]]) -> list[T | ConstraintError]:
    """What each row returns, or the ConstraintError that ended it; the other rows are finished all the same."""
    results: list = [None] * len(rows)
    asked: dict[int, Question | Look] = {}

    def go_on(k: int, answer) -> None:
        try:
            asked[k] = rows[k].send(answer)
        except StopIteration as done:
            results[k] = done.value
        except ConstraintError as reason:
            results[k] = reason

    for k in range(len(rows)):
        go_on(k, None)
    while asked:
        turn = min(question.turn for question in asked.values())
        questions = {k: question for k, question in asked.items() if question.turn == turn}
        asked = {k: question for k, question in asked.items() if question.turn != turn}
        began = time.perf_counter()
        answers = ask(denoiser, list(questions.values()))
        ms = (time.perf_counter() - began) * 1e3
        for k, logits in zip(questions, answers):
            go_on(k, (logits, ms))
    return results

"""An output as the members of a JSON object, and how long a text usually is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dgemma_constrain.canvas.compiled import compile

if TYPE_CHECKING:
    from dgemma_constrain.constraints.base import Constraint
    from dgemma_constrain.diffusion.model import Model, Output

USUAL_LENGTH = 64  # tokens, where a constraint doesn't need more


def usual_length(model: Model, prompt: str, constraint: Constraint, texts: Sequence[str] = ()) -> int:
    """Room for each of these texts; without any, for twice the shortest. No more than the context has left."""
    before, after = model.denoiser.frame(prompt)
    left = max(0, model.denoiser.context_length - len(before) - len(after))
    if texts:
        return min(1 + max(len(model.vocabulary.encode(text)) for text in texts), left)
    shortest = int(compile(constraint, model.vocabulary).automaton.distance[0])
    return min(max(2 * shortest, USUAL_LENGTH), left)


def record(model: Model, out: Output, parsed: bool) -> dict[str, str]:
    """Names and JSON texts. parsed: the text is JSON, and goes in as its own value: parsing it could lose digits of numbers."""
    members = {
        "text": out.text,
        "value": None,
        "fields": out.fields,
        "score": out.score,
        "tokens": model.vocabulary.text_length(out.ids),
        "steps": len(out.trace.steps),
    }
    texts = {name: json.dumps(value, ensure_ascii=False) for name, value in members.items()}
    if parsed:
        texts["value"] = out.text.replace("\n", " ").replace("\r", " ")  # JSON has them between its tokens only
    return texts


def line(members: dict[str, str]) -> str:
    """One line of JSON from names and JSON texts."""
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in members.items()) + "}"

"""A trace as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
import re
from html import escape
from importlib.resources import files

from dgemma_constrain.diffusion.trace import Step, Trace
from dgemma_constrain.show.cells import Cell, History, spelled


def trace_html(trace: Trace, text: str) -> str:
    """The page for a text and how it was written. `#step=3` at the end of its address opens it after the third step."""
    history = History()
    data = {
        "compileMs": round(trace.compile_ms, 2),
        "pieces": {t: {"text": spelled(p), "special": isinstance(p, str)} for t, p in trace.pieces.items()},
        "steps": [_step(step, history.add(step)) for step in trace.steps],
    }
    parts = {"prompt": escape(trace.prompt), "text": escape(text), "data": _for_script(data)}
    page = files(__package__).joinpath("trace.html").read_text("utf-8")
    return re.sub(
        r"\{\{(\w+)\}\}", lambda m: parts[m[1]], page
    )  # one pass: what a prompt says is never filled in again


def _step(step: Step, cells: list[Cell]) -> dict:
    return {
        "block": step.block,
        "offset": step.offset,
        "cells": [[c.kind, c.token, round(c.confidence, 4), c.since] for c in cells],
        "allowed": step.allowed,
        "alternatives": [[[t, round(p, 4)] for t, p in row] for row in step.alternatives],
        "modelMs": round(step.model_ms, 2),
        "constraintMs": round(step.constraint_ms, 2),
    }


def _for_script(data: dict) -> str:
    """JSON that nothing inside can close or open a tag with."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")

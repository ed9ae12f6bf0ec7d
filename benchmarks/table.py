"""A short table of what `benchmarks.engine` measured."""

from __future__ import annotations

import statistics
from typing import Any, TextIO

_COLUMNS = ("compile", "lift", "states", "classes", "canvas", "masked", "best", "half", "×floor")


def print_table(lines: list[dict[str, Any]], length: int, out: TextIO) -> None:
    """One row a case, milliseconds: our side at `length`, then for each peer its compile, and its masks and their use."""
    peers = list(lines[0]["peers"]) if lines else []
    head = [*_COLUMNS, *(f"{name} {what}" for name in peers for what in ("compile", "masks"))]
    legend = "`masked` all masks applied, `best` the best string, `half` with half pinned"
    print(f"\ncanvas of {length}, ms: {legend}; peers: {length} masks, applied", file=out)
    print(f"{'case':14}" + "".join(f"{title:>{_width(title)}}" for title in head), file=out)
    for line in lines:
        row = [*_ours(line, length), *(cell for name in peers for cell in _peer(line["peers"][name], length))]
        print(f"{line['case']:14}" + "".join(f"{cell:>{_width(title)}}" for cell, title in zip(row, head)), file=out)
    for text in _findings(lines, peers, length):
        print(text, file=out)


def _width(title: str) -> int:
    return max(9, len(title) + 2)


def _step(found: dict[str, Any], length: int, number: int = 0) -> dict[str, Any]:
    """The step all masked (0) or half pinned (1) at `length`; {} where there is none."""
    steps = [step for step in found.get("steps", ()) if step["length"] == length and "infeasible" not in step]
    return steps[number] if number < len(steps) else {}


def _ours(line: dict[str, Any], length: int) -> list[str]:
    free, half = _step(line, length), _step(line, length, 1)
    ratio = free["best_ms"] / free["floor_ms"] if free else None
    return [
        _number(line.get("compile_ms")), _number(line.get("lift_ms")), f"{line.get('states', '–')}", f"{line.get('classes', '–')}",
        _number(free.get("canvas_ms")), _number(free.get("masked_ms")), _number(free.get("best_ms")),
        _number(half.get("best_ms")), _number(ratio),
    ]  # fmt: skip


def _peer(found: dict[str, Any], length: int) -> tuple[str, str]:
    compiled = _number(found.get("compile_ms"))
    masks = _total(found, length)
    if "error" in found and masks is None:
        return compiled, "no answer" if "no answer" in found["error"] else "refused"
    return compiled, _number(masks)


def _total(found: dict[str, Any], length: int) -> float | None:
    step = _step(found, length)
    return step["masks_ms"] + step["apply_ms"] if step else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _findings(lines: list[dict[str, Any]], peers: list[str], length: int) -> list[str]:
    """The figures that the aims speak of."""
    found = []
    for what, values in (
        ("lift", [line["lift_ms"] for line in lines if "lift_ms" in line]),
        ("best / floor", [s["best_ms"] / s["floor_ms"] for s in (_step(line, length) for line in lines) if s]),
    ):
        if values:
            found.append(f"{what}: median {_number(statistics.median(values))}, worst {_number(max(values))}")
    for name in peers:
        both = [(_step(line, length), _total(line["peers"][name], length)) for line in lines]
        both = [(ours, theirs) for ours, theirs in both if ours and theirs is not None]
        faster = [sum(ours[what] < theirs for ours, theirs in both) for what in ("masked_ms", "best_ms")]
        found.append(
            f"{name}: to be compared on {len(both)} of {len(lines)}; our masks, applied, are faster in {faster[0]}, "
            f"our best string in {faster[1]}"
        )
    return found

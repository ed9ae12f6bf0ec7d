"""A short table of what `benchmarks.engine` measured."""

from __future__ import annotations

import statistics
from typing import Any, TextIO

_COLUMNS = ("compile", "lift", "states", "classes", "canvas", "masked", "best", "half", "×floor")


def print_table(lines: list[dict[str, Any]], length: int, out: TextIO) -> None:
    """One row a case, milliseconds: our side at `length`, then for each peer its compile, and its masks and their use."""
    peers = list(lines[0]["peers"]) if lines else []
    head = ["case", *_COLUMNS, *(f"{name} {what}" for name in peers for what in ("compile", "masks"))]
    legend = "`masked` all masks applied, `best` the best string, `half` with half pinned"
    print(f"\ncanvas of {length}, ms: {legend}; peers: {length} masks, applied", file=out)
    rows = []
    for line in lines:
        theirs = (cell for name in peers for cell in _peer(line["peers"][name], length))
        rows.append([line["case"], *_ours(line, length), *theirs])
    print_rows(head, rows, 14, out)
    for text in _findings(lines, peers, length):
        print(text, file=out)


def _step(found: dict[str, Any], length: int, which: int = 0) -> dict[str, Any]:
    """The step all masked (0) or half pinned (1) at `length`; {} where there is none."""
    steps = [step for step in found.get("steps", ()) if step["length"] == length and "infeasible" not in step]
    return steps[which] if which < len(steps) else {}


def _ours(line: dict[str, Any], length: int) -> list[str]:
    free, half = _step(line, length), _step(line, length, 1)
    ratio = free["best_ms"] / free["floor_ms"] if free else None
    return [
        number(line.get("compile_ms")), number(line.get("lift_ms")), f"{line.get('states', '–')}", f"{line.get('classes', '–')}",
        number(free.get("canvas_ms")), number(free.get("masked_ms")), number(free.get("best_ms")),
        number(half.get("best_ms")), number(ratio),
    ]  # fmt: skip


def _peer(found: dict[str, Any], length: int) -> tuple[str, str]:
    compiled = number(found.get("compile_ms"))
    masks = _total(found, length)
    if "error" in found and masks is None:
        return compiled, "no answer" if "no answer" in found["error"] else "refused"
    return compiled, number(masks)


def _total(found: dict[str, Any], length: int) -> float | None:
    step = _step(found, length)
    return step["masks_ms"] + step["apply_ms"] if step else None


def print_rows(head: list[str], rows: list[list[str]], first: int, out: TextIO) -> None:
    """`first` is the width of the first column; the others are as wide as their titles need."""
    widths = [max(9, len(title) + 2) for title in head[1:]]
    for name, *cells in [head, *rows]:
        print(f"{name:{first}}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths)), file=out)


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _findings(lines: list[dict[str, Any]], peers: list[str], length: int) -> list[str]:
    """The figures that the aims speak of."""
    found = []
    for what, values in (
        ("lift", [line["lift_ms"] for line in lines if "lift_ms" in line]),
        ("best / floor", [s["best_ms"] / s["floor_ms"] for s in (_step(line, length) for line in lines) if s]),
    ):
        if values:
            found.append(f"{what}: median {number(statistics.median(values))}, worst {number(max(values))}")
    for name in peers:
        both = [(_step(line, length), _total(line["peers"][name], length)) for line in lines]
        both = [(ours, theirs) for ours, theirs in both if ours and theirs is not None]
        faster = [sum(ours[what] < theirs for ours, theirs in both) for what in ("masked_ms", "best_ms")]
        found.append(
            f"{name}: to be compared on {len(both)} of {len(lines)}; our masks, applied, are faster in {faster[0]}, "
            f"our best string in {faster[1]}"
        )
    return found

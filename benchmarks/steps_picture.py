"""A picture of how accuracy moves with steps, from what `benchmarks.model records` printed:

    python -m benchmarks.model records > records.jsonl
    python -m benchmarks.steps_picture records.jsonl docs/embedded_steps.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, GAP = 250, 170, 46, 34, 40
COLOURS = dict(none="#888888", schema="#1f6feb", values="#d9730d")
NAMES = dict(none="no constraint", schema="schema", values="schema, values from the text")
TITLES = dict(seen="families seen in training", document="lists, tables, log lines", unseen="families never seen")


def panel(title: str, lines: dict[str, dict[int, float]], steps: list[int], left: int) -> list[str]:
    """One diagram: field-exact share over steps (doubling), a line for each mode."""
    x = {n: left + WIDTH * i / max(1, len(steps) - 1) for i, n in enumerate(steps)}
    y = lambda share: TOP + HEIGHT * (1 - share)  # noqa: E731
    out = [f'<text x="{left + WIDTH / 2:.0f}" y="20" text-anchor="middle" font-weight="bold">{title}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        out.append(f'<path d="M{left} {y(share):.1f}h{WIDTH}" stroke="#8884" />')
        out.append(f'<text x="{left - 6}" y="{y(share) + 4:.1f}" text-anchor="end">{100 * share:.0f}</text>')
    out += [f'<text x="{x[n]:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{n}</text>' for n in steps]
    for mode, shares in lines.items():
        points = " ".join(f"{x[n]:.1f},{y(shares[n]):.1f}" for n in steps if n in shares)
        out.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[mode]}" stroke-width="2" />')
        out += [f'<circle cx="{x[n]:.1f}" cy="{y(s):.1f}" r="2.5" fill="{COLOURS[mode]}" />' for n, s in shares.items()]
    return out


def picture(records: list[dict]) -> str:
    steps = sorted({r["steps"] for r in records})
    kinds = [k for k in TITLES if any(r["families"] == k for r in records)]
    width, height = LEFT + len(kinds) * (WIDTH + GAP), TOP + HEIGHT + 66
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" font-family="sans-serif" font-size="12">']
    out += [f'<rect width="{width}" height="{height}" fill="white" />']
    for i, kind in enumerate(kinds):
        lines = {mode: {r["steps"]: r["fields"] for r in records if r["families"] == kind and r["mode"] == mode} for mode in COLOURS}
        out += panel(TITLES[kind], {m: s for m, s in lines.items() if s}, steps, LEFT + i * (WIDTH + GAP))
    out.append(f'<text x="{width / 2:.0f}" y="{TOP + HEIGHT + 36}" text-anchor="middle">fields exactly right, %, over denoising steps</text>')
    at = LEFT
    for mode, name in NAMES.items():
        out.append(f'<rect x="{at}" y="{height - 18}" width="14" height="4" fill="{COLOURS[mode]}" />')
        out.append(f'<text x="{at + 20}" y="{height - 12}">{name}</text>')
        at += 40 + 7 * len(name)
    return "\n".join([*out, "</svg>", ""])


def main() -> None:
    source, target = map(Path, sys.argv[1:3])
    records = [json.loads(line) for line in source.read_text().splitlines()]
    target.write_text(picture([r for r in records if r["what"] == "records" and "steps" in r]))


if __name__ == "__main__":
    main()

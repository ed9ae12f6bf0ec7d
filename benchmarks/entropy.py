"""Tokens per forward and how many records are right, for entropy bounds with and without a constraint:

    python -m benchmarks.entropy [--count 40] [--bounds 0.01 0.1 0.3 1 3]

The embedded model reads sentences into records. Under a constraint the marginals' entropies are lower than the model's own,
since what can't be is left out, so that the same bound commits more in a step. JSON lines go to stdout, a table to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys

import dgemma_constrain as dc
from benchmarks.model import PERSON as SCHEMA
from benchmarks.model import people
from benchmarks.table import print_rows
from dgemma_constrain.models.embedded.prompts import record_prompt

LENGTH, STEPS = 64, 64
KINDS = ("nothing", "the schema", "the schema and the text")


def constraint_for(kind: str, text: str) -> dc.Constraint | None:
    if kind == "nothing":
        return None
    return dc.json_schema(SCHEMA, values_from=text if kind == "the schema and the text" else None)


def measure(model: dc.Model, kind: str, schedule: str, steps: int, count: int) -> dict:
    """tokens_per_forward: of the text and its end, over the forwards that a row alone would have taken."""
    found = people(count, seed=0)
    prompts = [record_prompt(SCHEMA, text) for text, _ in found]
    constraints = [constraint_for(kind, text) for text, _ in found]
    outputs = model.generate(prompts, constraints, LENGTH, steps, schedule=schedule)
    tokens = sum(model.vocabulary.text_length(out.ids) + 1 for out in outputs)
    forwards = sum(len(out.trace.steps) for out in outputs)
    return {
        "constraint": kind,
        "schedule": schedule,
        "valid": sum(dc.json_schema(SCHEMA).matches(out.text) for out in outputs),
        "right": sum(_read(out.text) == facts for out, (_, facts) in zip(outputs, found)),
        "of": count,
        "tokens_per_forward": round(tokens / forwards, 2),
    }


def _read(text: str):
    try:
        return json.loads(text)
    except ValueError:
        return None


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--bounds", type=float, nargs="+", default=[0.01, 0.1, 0.3, 1.0, 3.0])
    args = parser.parse_args(argv)
    model, rows = dc.load(), []
    for kind in KINDS:
        for schedule, steps in [("linear", 16), *((f"entropy={bound}", STEPS) for bound in args.bounds)]:
            line = measure(model, kind, schedule, steps, args.count)
            print(json.dumps(line), flush=True)
            rows.append([str(line[key]) for key in ("constraint", "schedule", "valid", "right", "tokens_per_forward")])
    print_rows(["constraint", "schedule", "valid", "right", "tokens per forward"], rows, 26, sys.stderr)


if __name__ == "__main__":
    main()

"""What large and explosive schemas cost, or how soon they are refused: `hostile_schemas`, each in a process of its own.

    python -m benchmarks.json_schema_hostile
    python -m benchmarks.json_schema_hostile --only enum

JSON lines go to stdout, a table to stderr. Times are CPU seconds of one core, with kernels loaded: `read` from JSON text to the
normal form, `compile` to the minimal automaton over characters, `lift` to 262,144 tokens; `peak` by how many MiB the resident
memory rose. A refusal is a LimitExceeded, and says where. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from typing import Any

import dgemma_constrain as dc
from benchmarks.hostile_schemas import HOSTILE
from benchmarks.json_schema import resident
from benchmarks.table import print_rows
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.errors import LimitExceeded

MEMORY, SECONDS = 3 << 30, 60  # of one process; nothing should come near
STAGES = ("read", "compile", "lift")


def as_text(schema: Any) -> str:
    """JSON text, also of what is nested more deeply than `json` goes."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        return json.dumps(schema)
    finally:
        sys.setrecursionlimit(limit)


def measured(name: str, vocabulary: dc.Vocabulary) -> dict[str, Any]:
    text = as_text(HOSTILE[name])
    before, times = resident(reset=True), [time.process_time()]
    line: dict[str, Any] = {"schema": name, "characters": len(text)}
    try:
        constraint = dc.json_schema(text)
        times.append(time.process_time())
        dfa = constraint.dfa()
        times.append(time.process_time())
        compiled = dc.compile(constraint, vocabulary, cache=False)
        times.append(time.process_time())
        line |= {"states": dfa.states, "token_states": compiled.automaton.states, "depth": constraint.depth()}
    except LimitExceeded as error:
        times.append(time.process_time())
        line["refused"] = str(error)
    line |= {f"{stage}_s": round(b - a, 3) for stage, a, b in zip(STAGES, times, times[1:])}
    return line | {"total_s": round(times[-1] - times[0], 3), "peak_mib": resident() - before}


def apart(name: str, vocabulary: dc.Vocabulary) -> dict[str, Any]:
    """The same, in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        try:
            os.write(writer, json.dumps(measured(name, vocabulary)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return json.loads(said) if said else {"schema": name, "died": True}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="schemas with this in their names")
    parser.add_argument("--vocabulary-size", type=int, default=262_144)
    options = parser.parse_args(arguments)
    vocabulary = generated_vocabulary(options.vocabulary_size)
    for warm in ({"properties": {"a": {"type": "number"}}}, {"items": {"format": "date"}, "maxItems": 2}):
        dc.compile(dc.json_schema(warm), vocabulary, cache=False)  # loads the kernels
    lines, rows = [], []
    for name in HOSTILE:
        if options.only in name:
            line = apart(name, vocabulary)
            lines.append(line)
            print(json.dumps(line), flush=True)
            times = [f"{line[key]:.2f}" if key in line else "–" for key in (*(f"{s}_s" for s in STAGES), "total_s")]
            outcome = "died" if "died" in line else "refused" if "refused" in line else f"{line['states']:,} states"
            rows.append([name, *times, str(line.get("peak_mib", "–")), outcome])
    print_rows(["schema", *STAGES, "total", "peak", "outcome"], rows, 46, sys.stderr)
    over = [line["schema"] for line in lines if line.get("total_s", 99) > 2 or line.get("peak_mib", 9999) > 1024]
    print(
        f"{len(lines)} schemas, {sum('refused' in line for line in lines)} refused; over 2 s or 1 GiB: {', '.join(over) or 'none'}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main(sys.argv[1:])

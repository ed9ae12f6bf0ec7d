"""What schemas cost: reading, compiling and lifting each to 262,144 tokens, beside llguidance and xgrammar.

    python -m benchmarks.json_schema                   # 40 larger schemas
    python -m benchmarks.json_schema --suite           # and those of the JSON Schema Test Suite (ours only)
    python -m benchmarks.json_schema --no-peers --only envelope

JSON lines go to stdout, a table to stderr. `read` is from the schema to its normal form, `compile` from there to minimal
automata over characters and bytes, `lift` to token classes: medians of --repeat runs, CPU milliseconds of one process that
has its kernels loaded. `peak` is by how many MiB the process's resident memory rose meanwhile (Linux only). Peers compile the
same schema in processes of their own (wall time).
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.json_schema_suite import DRAFTS, SUITE, files, registry
from benchmarks.peers import Peer, installed
from benchmarks.schemas import SCHEMAS
from benchmarks.table import print_rows
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.automata.encodings import utf8
from dgemma_constrain.constraints.json_schema import compile_schema
from dgemma_constrain.errors import ConstraintError
from dgemma_constrain.tokens import Vocabulary
from dgemma_constrain.tokens.lift import lift


def ours(schema: Any, vocabulary: Vocabulary, repeat: int, **options: Any) -> dict[str, Any]:
    """Medians of the three times, and sizes; or the error."""
    runs = []
    before = resident(reset=True)
    try:
        for _ in range(repeat):
            times = [time.process_time()]
            read = compile_schema(schema, **options)
            times.append(time.process_time())
            octets = utf8(read.dfa())
            times.append(time.process_time())
            tokens = lift(octets, vocabulary)
            times.append(time.process_time())
            runs.append([1e3 * (b - a) for a, b in zip(times, times[1:])])
    except ConstraintError as error:
        return {"error": f"{type(error).__name__}: {error}", "peak_mib": resident() - before}
    parts = [statistics.median(column) for column in zip(*runs)]
    return {
        "read_ms": parts[0],
        "compile_ms": parts[1],
        "lift_ms": parts[2],
        "total_ms": statistics.median(map(sum, runs)),
        "depth": read.depth(),
        "byte_states": len(octets.table),
        "classes": tokens.class_count,
        "mib": round((octets.table.nbytes + tokens.nbytes) / 2**20, 1),
        "peak_mib": resident() - before,
    }


def resident(reset: bool = False) -> int:
    """The most memory that was resident since the last reset, in MiB; 0 where the system does not say."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) >> 10
    except (OSError, StopIteration):
        return 0


def suite_schemas() -> list[tuple[str, Any, dict[str, Any]]]:
    """(name, schema, options) of every group of the suite."""
    found = []
    for draft in DRAFTS:
        documents = registry(draft)
        for path in files(draft):
            for group in json.loads(path.read_text()):
                schema = group["schema"]
                if isinstance(schema, dict):
                    schema = {"$schema": DRAFTS[draft], **schema}
                found.append((f"{draft} {path.stem}: {group['description']}", schema, {"registry": documents}))
    return found


def summary(name: str, lines: list[dict[str, Any]]) -> str:
    times = sorted(line["total_ms"] for line in lines if "total_ms" in line)
    refused = sum("error" in line for line in lines)
    tenth = times[min(len(times) - 1, int(0.9 * len(times)))]
    return (
        f"{name}: {len(times)} compiled, {refused} refused; read + compile + lift {statistics.median(times):.1f} ms in the "
        f"middle, {tenth:.0f} ms at the 90th percentile, {times[-1]:.0f} ms at most; {max(line['peak_mib'] for line in lines)} MiB at most"
    )


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="schemas with this in their names")
    parser.add_argument("--suite", action="store_true", help="also the JSON Schema Test Suite")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--vocabulary-size", type=int, default=262_144)
    options = parser.parse_args(arguments)
    vocabulary = generated_vocabulary(options.vocabulary_size)
    gc.freeze()  # what the benchmark itself keeps alive is not the schemas' to be searched for garbage
    ours({"properties": {"a": {"type": "number"}}}, vocabulary, 1)  # loads the kernels
    names = [] if options.no_peers else [name for name in installed() if name != "outlines-core"]
    peers = {name: Peer(name, vocabulary, 1) for name in names}
    lines, rows = [], []
    for name, schema in SCHEMAS.items():
        if options.only in name:
            line = {"schema": name, "characters": len(json.dumps(schema)), **ours(schema, vocabulary, options.repeat)}
            for peer, engine in peers.items():
                line[peer] = engine.measure(Case(name, "schema", schema, ""), [], [], options.repeat)
            lines.append(line)
            print(json.dumps(line), flush=True)
            own = [
                line.get(key, "–")
                for key in ("read_ms", "compile_ms", "lift_ms", "total_ms", "depth", "byte_states", "peak_mib")
            ]
            theirs = [line[peer].get("compile_ms", "refused" if "error" in line[peer] else "–") for peer in peers]
            rows.append([name, *(f"{x:.1f}" if isinstance(x, float) else str(x) for x in own + theirs)])
    for engine in peers.values():
        engine.close()
    if rows:
        head = ["schema", "read", "compile", "lift", "total", "depth", "states", "peak", *peers]
        print_rows(head, rows, 14, sys.stderr)
        print(summary("40 larger schemas", lines), file=sys.stderr)
    if options.suite and SUITE.exists():
        found = [ours(schema, vocabulary, 1, **more) for _, schema, more in suite_schemas()]
        print(summary("JSON Schema Test Suite", found), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])

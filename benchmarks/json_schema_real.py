"""Real schemas with instances: is every invalid one refused, every valid one accepted, and what do the schemas cost?

    python -m benchmarks.json_schema_real FOLDER               # *.json, as in MaskBench: {"schema": …, "tests": [{"valid": bool, "data": …}]}
    python -m benchmarks.json_schema_real FOLDER --texts        # and the automaton of its texts, for canvases
    python -m benchmarks.json_schema_real FOLDER --lift 200     # and of the first 200, token classes at 262,144 ids

A table goes to stdout, with a row for each folder inside FOLDER (or for what stands before the first - or _ in a file's name); JSON
lines to --out. Each schema is judged in a process with --seconds and --gib; what takes more counts as a failure.

An instance is written as json.dumps writes it and asked with `json_schema(schema).matches`, default options. A valid one that is
refused counts by what it takes to accept it: any *order* of names, *formats* off, both, or nothing does (*wrong*).
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import dgemma_constrain as dc
from benchmarks.json_schema import resident
from benchmarks.table import number
from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.automata.encodings import utf8
from dgemma_constrain.errors import ConstraintError
from dgemma_constrain.tokens import Vocabulary
from dgemma_constrain.tokens.lift import lift

LOOSER = {
    "order": (True, True),
    "format": (False, False),
    "order and format": (True, False),
}  # names ordered, formats on


def judge(schema: Any, tests: list[dict[str, Any]], texts: bool, vocabulary: Vocabulary | None) -> dict[str, Any]:
    """What became of one schema: times in CPU milliseconds, `peak_mib`, counts of instances, and those that went wrong."""
    before, times = resident(reset=True), {}
    found: dict[str, Any] = {"times": times, "wrong": []}

    def timed(name: str, make: Any) -> Any:
        began = time.process_time()
        made = make()
        times[name] = 1e3 * (time.process_time() - began)
        return made

    try:
        constraint = timed("read", lambda: dc.json_schema(schema))
        counts = timed("match", lambda: Counter(_outcome(constraint, schema, test, found["wrong"]) for test in tests))
        found |= {"counts": counts, "narrowed": [note.keyword for note in constraint.narrowed]}
        found["peak_mib"] = resident() - before
        if texts or vocabulary is not None:
            dfa = timed("texts", constraint.dfa)
            found |= {"states": len(dfa.accept), "depth": constraint.depth()}
        if vocabulary is not None:
            found["classes"] = timed("lift", lambda: lift(utf8(dfa), vocabulary)).class_count
    except ConstraintError as error:
        found["error"] = f"{type(error).__name__}: {error}"
    found["peak_mib"] = max(found.get("peak_mib", 0), resident() - before)
    return found


def _outcome(constraint: dc.Constraint, schema: Any, test: dict[str, Any], wrong: list[dict[str, Any]]) -> str:
    text = json.dumps(test["data"], ensure_ascii=False)
    if constraint.matches(text) == test["valid"]:
        return "valid" if test["valid"] else "invalid"
    why = "invalid accepted"
    if test["valid"]:
        sorted_ = json.dumps(ordered(test["data"], declared(schema)), ensure_ascii=False)
        ways = ((why, formats, sorted_ if sort else text) for why, (sort, formats) in LOOSER.items())
        why = next((why for why, formats, way in ways if dc.json_schema(schema, formats=formats).matches(way)), "wrong")
    wrong.append({"why": why, "text": text[:20_000]})
    return why


def declared(schema: Any) -> dict[str, int]:
    """Where each name is first declared in a schema."""
    found: dict[str, int] = {}
    if isinstance(schema, dict):
        for name in schema["properties"] if isinstance(schema.get("properties"), dict) else ():
            found.setdefault(name, len(found))
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        for name in declared(part):
            found.setdefault(name, len(found))
    return found


def ordered(value: Any, places: dict[str, int]) -> Any:
    """The value with names as a schema declares them, and others behind."""
    if isinstance(value, list):
        return [ordered(item, places) for item in value]
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: places.get(name, len(places)))
        return {name: ordered(value[name], places) for name in names}
    return value


def serve(connection: Connection, gib: float, vocabulary: Vocabulary | None) -> None:
    """Answers what is sent, in a process that may be ended at any time."""
    try:
        import resource

        used = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) << 10
        resource.setrlimit(resource.RLIMIT_AS, (used + int(gib * 2**30),) * 2)
    except (ImportError, OSError):
        pass  # not Linux
    judge(
        {"properties": {"a": {"type": "number"}}}, [{"valid": True, "data": {}}], True, vocabulary
    )  # loads the kernels
    connection.send("ready")
    while True:
        try:
            schema, tests, texts, lifted = connection.recv()
        except EOFError:
            return
        try:
            connection.send(judge(schema, tests, texts, vocabulary if lifted else None))
        except Exception as error:  # an error that is no ConstraintError is a fault of ours, and told as one
            connection.send({"error": f"untyped {type(error).__name__}: {error}", "times": {}, "wrong": []})


class Worker:
    """A process that judges; a new one after each that took too long."""

    def __init__(self, seconds: float, gib: float, vocabulary: Vocabulary | None):
        self.seconds, self.arguments = seconds, (gib, vocabulary)
        self.begin()

    def begin(self) -> None:
        context = multiprocessing.get_context("fork")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, *self.arguments), daemon=True)
        self.process.start()
        other.close()
        self.connection.recv()

    def used(self) -> float:
        """CPU seconds of the process; on other systems than Linux, those on the clock."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            return time.monotonic()

    def judge(self, *row: Any) -> dict[str, Any]:
        self.connection.send(row)
        past = self.used() + self.seconds
        try:
            while not self.connection.poll(0.1):
                if self.used() > past:
                    error = f"untyped: no answer in {self.seconds:g} s"
                    break
            else:
                return self.connection.recv()
        except EOFError:
            error = "untyped: the process died"
        self.process.kill()
        self.process.join()
        self.begin()
        return {"error": error, "times": {}, "wrong": []}


def rows(folder: Path) -> Iterator[tuple[str, str, Any, list[dict[str, Any]]]]:
    """(group, file, schema, tests)."""
    for path in sorted(folder.rglob("*.json")):
        row = json.loads(path.read_text())
        inner = path.relative_to(folder).parts
        group = inner[0] if len(inner) > 1 else re.match(r"[^-_.]*(_(?=[a-z]+---)[a-z]+)?", path.name)[0]
        yield group, "/".join(inner), row["schema"], row.get("tests", [])


def table(lines: list[dict[str, Any]]) -> str:
    """Markdown, a line for each group."""
    whys = ["invalid accepted", *LOOSER, "wrong"]
    head = [
        "group",
        "schemas",
        "read",
        "refused",
        "untyped",
        "valid",
        "invalid",
        *whys,
        "read ms 50/90/max",
        "peak MiB",
    ]
    made = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    groups = [*dict.fromkeys(line["group"] for line in lines), "**all**"]
    for group in groups:
        some = [line for line in lines if group in (line["group"], "**all**")]
        counts = sum((Counter(line.get("counts")) for line in some), Counter())
        refused = [line["error"] for line in some if "counts" not in line]
        untyped = sum(error.startswith("untyped") for error in refused)
        cells = [group, len(some), len(some) - len(refused), len(refused) - untyped, untyped]
        cells += [counts["valid"] + sum(counts[why] for why in whys[1:]), counts["invalid"] + counts[whys[0]]]
        cells += [counts[why] for why in whys]
        cells += [spread([line["times"]["read"] for line in some if "read" in line["times"]])]
        cells += [max((line.get("peak_mib", 0) for line in some), default=0)]
        made.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(made)


def spread(times: list[float]) -> str:
    """Middle, 90th percentile, maximum."""
    times = sorted(times) or [0.0]
    return " / ".join(map(number, (statistics.median(times), times[int(0.9 * (len(times) - 1))], times[-1])))


def causes(lines: list[dict[str, Any]]) -> str:
    """Errors by what they say, most frequent first."""
    said = Counter(re.sub(r" \(at .*|'[^']*'|[\d,]*\d", "…", line["error"])[:150] for line in lines if "error" in line)
    return "\n".join(f"{count:5}  {error}" for error, count in said.most_common())


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--texts", action="store_true", help="make the automaton of each schema's texts as well")
    parser.add_argument("--lift", type=int, default=0, metavar="N", help="and lift the first N to 262,144 ids")
    parser.add_argument("--only", default="", help="files with this in their names")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one schema in N")
    parser.add_argument("--seconds", type=float, default=10, help="of CPU time for one schema and its instances")
    parser.add_argument("--gib", type=float, default=4, help="of memory for one schema")
    parser.add_argument("--out", type=Path, help="a file for a JSON line for each schema")
    options = parser.parse_args(arguments)
    worker = Worker(options.seconds, options.gib, generated_vocabulary() if options.lift else None)
    lines = []
    some = (row for row in rows(options.folder) if options.only in row[1])
    for k, (group, name, schema, tests) in enumerate(itertools.islice(some, 0, None, options.every)):
        line = worker.judge(schema, tests, options.texts, k < options.lift)
        lines.append({"group": group, "file": name, **line})
        if options.out:
            with options.out.open("a" if k else "w") as out:
                out.write(json.dumps(lines[-1], ensure_ascii=False) + "\n")
    print(table(lines))
    for stage in ("texts", "lift"):
        times = [line["times"][stage] for line in lines if stage in line["times"]]
        if times:
            print(f"{stage}, {len(times)} schemas: ms {spread(times)}; {sum(time > 2_000 for time in times)} over 2 s")
    print(causes(lines))
    return int(any(Counter(line.get("counts"))["invalid accepted"] for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

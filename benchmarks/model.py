"""How good the embedded model is: records read off texts it never saw, lines of code filled in, next to simple baselines.

    python -m benchmarks.model records [--count 40] [--steps 1 2 4 8 16 32]     # field-exact, by constraint and steps
    python -m benchmarks.model infill --sources sources.json.xz [--count 100]   # of packages held out of training
    python -m benchmarks.model speed                                            # one forward pass
    python -m benchmarks.model people [--count 40]                              # everyday sentences about a person

JSON lines go to stdout. Names, places and other words come from the tenth that training never sees; "unseen" families and their keys are
in `examples/train_embedded/unseen.py`. `sources.json.xz` is what `examples/train_embedded/sources.py` writes.
"""

from __future__ import annotations

import argparse
import copy
import difflib
import json
import random
import re
import statistics
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import torch

import dgemma_constrain as dc
from benchmarks.infill_holes import errors as syntax_errors
from dgemma_constrain.models.embedded import EmbeddedModel
from dgemma_constrain.models.embedded.prompts import record_prompt

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "train_embedded"))

from documents import document, story  # noqa: E402
from sentences import Fact, facts  # noqa: E402
from sources import load as load_sources  # noqa: E402
from unseen import UNSEEN  # noqa: E402
from values import Values  # noqa: E402

KINDS = ("seen", "document", "unseen")
MODES = ("none", "schema", "values")
WAYS = ("true", "fixed", "auto", "tree-sitter", "5-gram")
PERSON = json.loads((Path(__file__).resolve().parents[1] / "examples" / "person.schema.json").read_text())


def record(kind: str, rng: random.Random, values: Values) -> tuple[str, dict, dict]:
    """A text, the schema asked for and the record that is right. kind: one of KINDS."""
    if kind == "unseen":
        text, found, _ = facts(rng, values, rng.choice(UNSEEN))
    else:
        text, found, _ = (story if kind == "seen" else document)(rng, values)
    asked = {f.key: f for f in rng.sample(list(found.values()), rng.randint(1, min(4, len(found))))}
    properties = {key: _schema(fact) for key, fact in asked.items()}
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return text, schema, {key: fact.value for key, fact in asked.items()}


def _schema(fact: Fact) -> dict:
    if fact.type == "enum":
        return {"enum": fact.options}
    if fact.type == "list":
        return {"type": "array", "items": {"type": "string"}}
    if fact.type in ("integer", "number", "boolean"):
        return {"type": fact.type}
    return {"type": "string"} if fact.type == "string" else {"type": "string", "format": fact.type}


def records(kind: str, count: int, seed: int) -> list[tuple[str, dict, dict]]:
    """`count` of them whose answers fit a canvas of 64."""
    rng, found = random.Random(f"{kind} {seed}"), []
    values, encode = Values(rng, test=True), dc.load().denoiser.encode
    while len(found) < count:
        one = record(kind, rng, values)
        if len(encode(json.dumps(one[2], ensure_ascii=False))) < 64:
            found.append(one)
    return found


def read(model, text: str, schema: dict, mode: str, steps: int):
    """The value written, or None where it is no JSON."""
    constraint = {
        "none": lambda: None,
        "schema": lambda: dc.json_schema(schema),
        "values": lambda: dc.json_schema(schema, values_from=text),
    }[mode]()
    out = model.generate(record_prompt(schema, text), constraint, steps=steps)
    try:
        return json.loads(out.text)
    except ValueError:
        return None


def share_right(wanted: dict, got) -> list[bool]:
    """For each key whether its value is exactly right: the same type, too."""
    got = got if isinstance(got, dict) else {}
    return [key in got and json.dumps(got[key]) == json.dumps(value) for key, value in wanted.items()]


def measure_records(args) -> None:
    model = dc.load()
    for kind in args.kinds:
        examples = records(kind, args.count, args.seed)
        for name, baseline in (("most frequent", most_frequent()), ("copy nearest", copy_nearest)):
            hits = [share_right(value, baseline(text, schema)) for text, schema, value in examples]
            _report(dict(what="records", families=kind, mode=name), hits)
        for mode in args.modes:
            for steps in args.steps:
                began, hits, failed = time.process_time(), [], 0
                for text, schema, value in examples:
                    try:
                        hits.append(share_right(value, read(model, text, schema, mode, steps)))
                    except (dc.EmptyConstraint, dc.Infeasible):  # the text holds no value of that form (a date is rewritten)
                        failed += 1
                        hits.append([False] * len(value))
                _report(
                    dict(what="records", families=kind, mode=mode, steps=steps, infeasible=failed), hits, time.process_time() - began
                )


def _report(about: dict, hits: list[list[bool]], seconds: float | None = None) -> None:
    flat = [hit for row in hits for hit in row]
    about |= dict(fields=round(sum(flat) / len(flat), 3), of=len(flat), records=round(sum(map(all, hits)) / len(hits), 3))
    if seconds is not None:
        about |= dict(cpu_ms=round(1e3 * seconds / len(hits)))
    print(json.dumps(about), flush=True)


def most_frequent(count: int = 4000):
    """The value that each key had most often in training; where a key is unknown, that of its type."""
    rng = random.Random(0)
    values, by_key, by_type = Values(rng), defaultdict(Counter), defaultdict(Counter)
    for _ in range(count):
        _, found, _ = story(rng, values)
        for fact in found.values():
            said = json.dumps(fact.value)
            by_key[fact.key][said] += 1
            by_type[fact.type if fact.type not in ("date", "email") else "string"][said] += 1

    def answer(text: str, schema: dict) -> dict:
        out = {}
        for key, sub in schema["properties"].items():
            if "enum" in sub:
                out[key] = sub["enum"][0]
            else:
                counted = by_key.get(key) or by_type["list" if sub["type"] == "array" else sub["type"]]
                out[key] = json.loads(counted.most_common(1)[0][0])
        return out

    return answer


def copy_nearest(text: str, schema: dict) -> dict:
    """For each key the value of its type that stands nearest to the key's name in the text, each used once."""
    forms = {
        "integer": r"(?<![\w.])-?\d+(?![\w.]\d)",
        "number": r"-?\d+(?:\.\d+)?",
        "string": r"[^\W\d_]*[A-Z][\w'’-]*(?: (?:van |de |von )?[A-Z][\w'’.-]*)*|\w+[-@#]\S*\w",
    }
    used, out = set(), {}
    for key, sub in schema["properties"].items():
        at = max((text.lower().find(word) for word in re.split(r"[_\W]+", key.lower()) if word), default=-1)
        kind = sub.get("type")
        if "enum" in sub:
            out[key] = next((o for o in sub["enum"] if str(o).lower() in text.lower()), sub["enum"][0])
        elif kind == "boolean":
            out[key] = " not " not in text
        elif kind == "array":
            tail = re.search(r": ([^.]*)", text)
            out[key] = re.split(r", | and ", tail[1]) if tail else []
        else:
            found = [m for m in re.finditer(forms[kind], text) if m.span() not in used]
            if not found:
                continue
            best = min(found, key=lambda m: abs(m.start() - at)) if at >= 0 else found[0]
            used.add(best.span())
            said = best[0]
            out[key] = said if kind == "string" else int(said) if kind == "integer" or "." not in said else float(said)
    return out


SENTENCES = [
    "{name}, {age}, moved to {city} last year.",
    "{name} is {age} and lives in {city}.",
    "{name} ({age}) comes from {city}.",
    "In {city} we met {name}, who is {age} years old.",
    "{name} from {city} turned {age} on Friday.",
]


def people(count: int, seed: int) -> list[tuple[str, dict]]:
    """Sentences and the record of PERSON that each states."""
    rng = random.Random(seed)
    values, found = Values(rng, test=True), []
    for k in range(count):
        wanted = {"name": values.name(), "age": rng.randint(1, 99), "city": values.city()}
        found.append((SENTENCES[k % len(SENTENCES)].format(**wanted), wanted))
    return found


def measure_people(args) -> None:
    model = dc.load()
    for mode in args.modes:
        hits = []
        for text, wanted in people(args.count, args.seed):
            got = read(model, text, PERSON, mode, 16)
            hits.append(share_right(wanted, got))
            if args.show and not all(hits[-1]):
                print(f"  {text}\n    {got}", file=sys.stderr)
        _report(dict(what="people", mode=mode), hits)


# -- code


def holes(files: list[dict], lines: int, count: int, rng: random.Random) -> list[tuple[str, str, str]]:
    """(before, hole, after): whole lines of code, without the indentation of the first; no comments."""
    found, packages = [], defaultdict(list)
    for file in files:
        packages[file["package"]].append(file["text"])
    while len(found) < count:
        text = rng.choice(packages[rng.choice(sorted(packages))])
        all_lines = text.splitlines(keepends=True)
        if len(all_lines) < 30:
            continue
        i = rng.randrange(5, len(all_lines) - lines - 3)
        hole = "".join(all_lines[i : i + lines]).rstrip("\n")
        indent = len(hole) - len(hole.lstrip())
        plain = hole.strip()
        if len(plain) < 6 or len(hole) > 80 * lines or plain[0] in "#\"'/*" or not re.search(r"[()=:{}\[\]]", plain):
            continue
        start = sum(map(len, all_lines[:i])) + indent
        found.append((text[:start], hole[indent:], text[start + len(hole) - indent :]))
    return found


class NGram:
    """A back-off model of the same tokens: the longest context seen decides ("stupid backoff", Brants et al. 2007)."""

    def __init__(self, texts: list[list[int]], order: int = 5):
        self.order, self.next = order, defaultdict(Counter)
        for ids in texts:
            for i in range(len(ids)):
                for n in range(order):
                    if i >= n:
                        self.next[tuple(ids[i - n : i])][ids[i]] += 1
        self.next = {context: counts.most_common(1)[0][0] for context, counts in self.next.items()}

    def write(self, before: list[int], count: int) -> list[int]:
        out = list(before)
        for _ in range(count):
            out.append(next(self.next[c] for n in range(self.order - 1, -1, -1) if (c := tuple(out[len(out) - n :])) in self.next))
        return out[len(before) :]


def measure_infill(args) -> None:
    """The same holes filled by the model alone, at three lengths, by the model under tree-sitter's grammar, and by an n-gram model."""
    model = dc.load()
    encode, decode = model.denoiser.encode, model.vocabulary.decode
    everything = load_sources(args.sources)
    for language in args.languages:
        held = [f for f in everything if f["test"] and f["language"] == language]
        some = [f for f in everything if not f["test"] and f["language"] == language][: args.ngram_files]
        ngram = NGram([encode(f["text"]) for f in some])
        for lines in args.lines:
            drawn = holes(held, lines, args.count, random.Random(args.seed))
            examples = [one for one in drawn if len(encode(one[1])) <= 64]

            def alone(length):
                return lambda b, h, a: model.infill(b, a, length=length(h), steps=args.steps[-1]).text

            def constrained(before, hole, after):
                place, asked = (before + after, len(before)), dict(steps=args.steps[-1], several=lines > 1)
                found = dc.infill.complete(*place, language, model, args.budget, count=1, **asked)
                return found[0].text if found else ""

            ways = dict(true=alone(lambda h: len(encode(h))), fixed=alone(lambda h: 24 * lines), auto=alone(lambda h: "auto"))
            ways["tree-sitter"] = constrained
            ways["5-gram"] = lambda b, h, a: decode(ngram.write(encode(b[-400:]), len(encode(h))))
            for way in args.ways:
                began = time.process_time()
                results = [ways[way](*one) for one in examples]
                seconds = time.process_time() - began
                _report_code(dict(what="infill", language=language, lines=lines, way=way), language, examples, results, seconds)


def _report_code(about: dict, language: str, examples: list[tuple[str, str, str]], results: list[str], seconds: float) -> None:
    """`whole`: the file has no more syntax errors than with what stood in the hole."""
    pairs = [(hole, got) for (_, hole, _), got in zip(examples, results)]
    exact = statistics.mean(wanted == got.rstrip() or wanted == got for wanted, got in pairs)
    near = statistics.mean(difflib.SequenceMatcher(None, wanted, got, autojunk=False).ratio() for wanted, got in pairs)
    whole = statistics.mean(
        syntax_errors(language, before + got + after) <= syntax_errors(language, before + hole + after)
        for (before, hole, after), got in zip(examples, results)
    )
    about |= dict(exact=round(exact, 3), similar=round(near, 3), whole=round(whole, 3), of=len(results))
    print(json.dumps(about | dict(cpu_ms=round(1e3 * seconds / len(results)))), flush=True)


# -- speed


def measure_speed(args) -> None:
    """One forward pass over a prompt of 128 and a canvas of 64, over that canvas alone, and what code completion does instead: read what
    stands around (192 and 192 tokens) once, and then look at the canvas. Milliseconds: the least and the median of 40, taken in turns."""
    model = dc.load().denoiser
    V = len(model.vocabulary)
    mask = model.vocabulary.mask_id
    ids = torch.randint(5, V, (1, 192))
    ids[:, 128:] = mask
    wide = copy.deepcopy(model.network).float()
    wide.set_positions()
    quantised = torch.ao.quantization.quantize_dynamic(wide, {torch.nn.Linear}, dtype=torch.qint8)
    canvas = torch.arange(192)[None] >= 128
    at = torch.arange(128, 192)[None]

    def plain(network):
        with torch.no_grad():
            return network.log_probabilities(network.hidden(ids, canvas), at, ids)

    in_float = EmbeddedModel(wide, model.tokenizer)
    compiled = torch.compile(lambda: plain(model.network), dynamic=False)
    loaded = str(model.network.embed.weight.dtype).removeprefix("torch.")
    before, after = torch.randint(5, V, (2, 192)).tolist()
    around = {length: model.around(before, after, length) for length in (16, 64)}
    ways = {
        f"as loaded: {loaded}": lambda: model.logits(ids, 128, 192),
        "as loaded, the canvas alone": lambda: model.logits(ids[:, 128:], 0, 64),
        "as loaded, reading around a canvas of 64": lambda: model.around(before, after, 64),
        "as loaded, a canvas of 64 where around is read": lambda: around[64].logits([[mask] * 64]),
        "as loaded, a canvas of 16 where around is read": lambda: around[16].logits([[mask] * 16]),
        "float32": lambda: in_float.logits(ids, 128, 192),
        f"network.py, {loaded}": lambda: plain(model.network),
        "network.py, float32": lambda: plain(wide),
        "network.py, int8 (dynamic)": lambda: plain(quantised),
        f"network.py, {loaded}, compiled": compiled,
    }
    if args.as_loaded:
        ways = {name: call for name, call in ways.items() if name.startswith("as loaded")}
    first, times, used = {}, defaultdict(list), defaultdict(list)
    for name, call in ways.items():
        began = time.perf_counter()
        call()
        first[name] = time.perf_counter() - began
    for _ in range(40):
        for name, call in ways.items():
            a, b = time.perf_counter(), time.process_time()
            call()
            times[name].append(1e3 * (time.perf_counter() - a))
            used[name].append(1e3 * (time.process_time() - b))
    for name in ways:
        line = dict(what="speed", how=name, threads=torch.get_num_threads(), first_ms=round(1e3 * first[name]))
        line |= dict(least_ms=round(min(times[name]), 1), median_ms=round(statistics.median(times[name]), 1))
        print(json.dumps(line | dict(cpu_ms=round(statistics.median(used[name]), 1))), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["records", "infill", "speed", "people"])
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--sources", type=Path, help="what examples/train_embedded/sources.py wrote")
    parser.add_argument("--ngram-files", type=int, default=1500, help="files that the 5-gram model is counted on")
    parser.add_argument("--languages", nargs="+", default=["python", "javascript"], choices=["python", "javascript"])
    parser.add_argument("--lines", type=int, nargs="+", default=[1, 3], help="of a hole")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS, help="of filling a hole")
    parser.add_argument("--budget", type=float, default=10_000, help="milliseconds for a hole under tree-sitter's grammar")
    parser.add_argument("--as-loaded", action="store_true", help="speed: only of what is loaded by default")
    parser.add_argument("--show", action="store_true", help="print what is wrong")
    args = parser.parse_args()
    dict(records=measure_records, infill=measure_infill, speed=measure_speed, people=measure_people)[args.what](args)


if __name__ == "__main__":
    main()

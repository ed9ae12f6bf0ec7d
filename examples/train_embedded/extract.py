"""Count how many people the installed model reads right out of sentences, with values from anywhere and from the text:

    python examples/train_embedded/extract.py [--count 40] [--seed 0] [--show]

Names and cities come from the held-out part, two in five of them invented.
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from values import Values  # noqa: E402

import dgemma_constrain as dc  # noqa: E402
from dgemma_constrain.models.embedded.prompts import record_prompt  # noqa: E402

SCHEMA = json.loads((HERE.parent / "person.schema.json").read_text())
SENTENCES = [
    "{name}, {age}, moved to {city} last year.",
    "{name} is {age} and lives in {city}.",
    "{name} ({age}) comes from {city}.",
    "In {city} we met {name}, who is {age} years old.",
    "{name} from {city} turned {age} on Friday.",
]


def people(count: int, seed: int) -> list[tuple[str, dict]]:
    rng = random.Random(seed)
    values = Values(rng, test=True)
    found = []
    for k in range(count):
        facts = {role: values.kind(role)[0] for role in ("name", "age", "city")}
        found.append((SENTENCES[k % len(SENTENCES)].format(**facts), facts))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print what is wrong")
    args = parser.parse_args()
    model = dc.load()
    for kind in ("anywhere", "the text"):
        right, began = 0, time.process_time()
        for text, facts in people(args.count, args.seed):
            constraint = dc.json_schema(SCHEMA, values_from=text if kind == "the text" else None)
            out = model.generate(record_prompt(SCHEMA, text), constraint)
            right += out.value == facts
            if args.show and out.value != facts:
                print(f"  {text}\n    {out.text}")
        seconds = (time.process_time() - began) / args.count
        print(f"values from {kind}: {right} of {args.count} right, {1e3 * seconds:.0f} ms of CPU each")


if __name__ == "__main__":
    main()

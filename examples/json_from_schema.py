"""Job 1: JSON that obeys a schema, read out of a sentence."""

import json
from pathlib import Path

import dgemma_constrain as dc
from dgemma_constrain.models.embedded.prompts import record_prompt

schema = json.loads((Path(__file__).parent / "person.schema.json").read_text())
model = dc.load()

out = model.generate(
    record_prompt(schema, "Maria Lopez, 29, moved to Lisbon last year."),
    constraint=dc.json_schema(schema),
    length=64,
    steps=16,
)
print(out.text)
print(out.value["name"], "is", out.value["age"])

"""Job 2: a letter whose fixed parts stay fixed, each hole under its own constraint."""

import dgemma_constrain as dc
from dgemma_constrain.models.embedded.prompts import fill_prompt

letter = "Dear {name},\nyour order {number} leaves on {day}.\nYours, {name2}"
constraint = dc.template(
    letter,
    name=dc.regex(r"[A-Z][a-z]+"),
    number=dc.regex(r"\d{5}"),
    day=dc.choice(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]),
    name2=dc.substring("The Parcel Team in Basel"),
)
model = dc.load()

out = model.generate(
    fill_prompt(letter, "Maria ordered on Thursday; number 48213; sent by the Parcel Team"), constraint, steps=16
)
print(out.text)
print(out.fields)

"""Families of texts as `more_families/*.txt` have them, one block each:

    # donation
    donor    name    donor giver given_by
    secret   flag    anonymous is_anonymous | anonymously; without a name | openly
    reason   choice  reason why | ill: illness; bad health | old: old age
    > {donor} [gave|donated] {amount} to {charity}.
    + It was given {secret}.

A line is a role: its name, the kind of its value, the keys that may ask for it, and for a flag how true and false are said, for a
choice how each value is. `>` begins a template and `+` a sentence that may follow one, in the notation of `sentences.py`.
"""

from pathlib import Path

from sentences import Role

FOLDER = Path(__file__).resolve().parent / "more_families"
TYPES = (
    dict.fromkeys("age year integer quantity degrees port".split(), "integer")
    | dict.fromkeys("price number percent".split(), "number")
    | dict.fromkeys("tags tongues paths people".split(), "list")
    | dict(flag="boolean", choice="enum", date="date", email="email")
)


def read_role(line: str) -> tuple[str, Role]:
    head, *said = (part.strip() for part in line.split("|"))
    name, kind, *keys = head.split()
    if kind == "flag":
        ways = dict(zip(("true", "false"), (way.split("; ") for way in said), strict=True))
    else:
        ways = {value: texts.split("; ") for value, texts in (way.split(": ") for way in said)}
    return name, Role(kind, TYPES.get(kind, "string"), keys, ways)


def read_families(text: str) -> list[tuple[dict[str, Role], str, list[str]]]:
    """(roles, templates, tails) of each family, as the lists in `sentences.py` and `families.py` hold them."""
    found = []
    for block in text.split("# ")[1:]:
        lines = [line for line in block.split("\n")[1:] if line]
        roles = dict(read_role(line) for line in lines if line[0] not in ">+")
        found.append((roles, "\n".join(ln[2:] for ln in lines if ln[0] == ">"), [ln[2:] for ln in lines if ln[0] == "+"]))
    return found


TOLD = [family for path in sorted(FOLDER.glob("*.txt")) for family in read_families(path.read_text("utf-8"))]

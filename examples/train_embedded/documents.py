"""Texts with facts in them: stories of any family, and what is no sentence at all, lists of keys and values, rows of tables, log lines,
other records."""

import json
import random

from families import MORE
from relations import relation
from sentences import DOMAINS, Fact, Role, facts, state
from told import TOLD
from values import Values

FILLERS = """The weather was fine that day.
Please let me know if there is anything else.
We talked about it for a while.
See the attached document for details.
It was a long week.
This message was sent automatically.
Thanks a lot for your help!
I hope this finds you well.
More information will follow soon.
Nobody had expected that.
As far as I know that is all.
Have a nice day.
(Page 3 of 7)
Do not reply to this message.""".split("\n")


def story(rng: random.Random, values: Values) -> tuple[str, dict[str, Fact], dict[str, Role]]:
    """A short text of one of the first 26 families (what `benchmarks/model.py` calls seen), sometimes with a sentence beside the point."""
    domains = DOMAINS if rng.random() < 0.5 else MORE
    weights = [4, 2, 2, 2, 2, 1, 2] if domains is DOMAINS else [1] * len(MORE)
    return _with_filler(rng, facts(rng, values, rng.choices(domains, weights)[0]))


def wider(rng: random.Random, values: Values) -> tuple[str, dict[str, Fact], dict[str, Role]]:
    """The same of the families in `more_families`, and of families made up on the spot."""
    made = relation(rng, values) if rng.random() < 0.45 else facts(rng, values, rng.choice(TOLD))
    return _with_filler(rng, made)


def _with_filler(rng: random.Random, made: tuple) -> tuple[str, dict[str, Fact], dict[str, Role]]:
    text, found, roles = made
    if rng.random() < 0.12:
        filler = rng.choice(FILLERS)
        text = f"{filler} {text}" if rng.random() < 0.5 else f"{text} {filler}"
    return text, found, roles


def spoken(key: str, rng: random.Random) -> str:
    """A key as a heading may have it."""
    words = key.replace("_", " ")
    return rng.choice(
        [key, words, words.capitalize(), words.title(), words, key.upper() if rng.random() < 0.3 else words]
    )


def document(rng: random.Random, values: Values, families: list = DOMAINS + MORE) -> tuple[str, dict[str, Fact], dict[str, Role]]:
    """The facts of a family as a list, a row, a log line or another record; the keys in the text needn't be those asked for."""
    roles = rng.choice(families)[0]
    chosen = rng.sample(list(roles), min(len(roles), rng.randint(2, 7)))
    found, said, heads = {}, {}, {}
    for name in chosen:
        found[name], said[name] = state(rng, values, roles[name])
        heads[name] = spoken(found[name].key if rng.random() < 0.5 else rng.choice(roles[name].keys), rng)
    style = rng.randrange(9)
    if style == 0:
        glue = rng.choice([": ", " = ", ":\t", "=", " - ", ":  "])
        text = "\n".join(heads[n] + glue + said[n] for n in chosen)
    elif style == 1:
        glue = rng.choice([",", ";", "\t", ", ", " | "])
        text = glue.join(heads[n] for n in chosen) + "\n" + glue.join(said[n] for n in chosen)
    elif style == 2:
        text = "\n".join(
            "| " + " | ".join(row) + " |"
            for row in ([heads[n] for n in chosen], ["---"] * len(chosen), [said[n] for n in chosen])
        )
    elif style == 3:
        text = " ".join(
            f"{heads[n].replace(' ', '_')}=" + (json.dumps(said[n], ensure_ascii=False) if " " in said[n] else said[n])
            for n in chosen
        )
    elif style == 4:
        text = json.dumps({heads[n]: said[n] for n in chosen}, ensure_ascii=False, indent=rng.choice([None, None, 2]))
    elif style == 5:
        text = rng.choice(["- ", "* ", "• "]).join(["", *(f"{heads[n]}: {said[n]}\n" for n in chosen)]).strip()
    elif style == 6:
        text = "".join(f"<{heads[n].replace(' ', '-')}>{said[n]}</{heads[n].replace(' ', '-')}>" for n in chosen)
    elif style == 7:
        text = rng.choice(["; ", ", ", " / ", " | "]).join(f"{heads[n]} {said[n]}" for n in chosen)
    else:
        text = " ".join(
            f"{rng.choice(['The', 'Its', 'Our', 'My'])} {heads[n]} {rng.choice(['is', 'was', 'will be'])} {said[n]}."
            for n in chosen
        )
    return text, found, roles


def several(rng: random.Random, values: Values) -> tuple[str, list[dict[str, Fact]]]:
    """A few records of one kind in one text: rows of a table, or sentences one after another."""
    roles = rng.choice(DOMAINS + MORE + TOLD)[0]
    names = rng.sample(list(roles), rng.randint(1, 3))
    keys = {n: rng.choice(roles[n].keys) for n in names}
    count, rows, texts = rng.randint(2, 4), [], []
    style = rng.choice(["csv", "lines", "sentence"])
    glue = rng.choice([",", ";", ", ", " | ", "\t"])
    options = {n: rng.sample(list(roles[n].said), len(roles[n].said)) for n in names}
    for _ in range(count):
        stated = {n: state(rng, values, roles[n]) for n in names}
        rows.append({n: Fact(keys[n], f.type, f.value, options[n]) for n, (f, _) in stated.items()})
        said = [s for _, s in stated.values()]
        texts.append(
            glue.join(said)
            if style != "sentence"
            else " ".join([said[0], *(f"({s})" if rng.random() < 0.3 else s for s in said[1:])])
        )
    if style == "csv":
        return "\n".join([glue.join(spoken(keys[n], rng) for n in names), *texts]), rows
    return ("\n" if style == "lines" else rng.choice([", ", " and ", "; "])).join(texts), rows

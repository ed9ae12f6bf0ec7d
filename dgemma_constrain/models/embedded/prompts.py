"""The prompts that the embedded model was trained on, built from a JSON Schema, a list of options or a template.

A record's prompt is one line that lists the keys in a TypeScript-like shorthand, then the text:

    json {name: string, age: integer, email?: string}
    Anna Keller, 34, moved to Zurich last spring.
"""

import json

MAX_REFERENCES = 8  # how many $refs deep the shorthand looks into a schema that may be recursive


def record_prompt(schema: dict, text: str) -> str:
    """The prompt for the JSON record of `schema` that `text` describes."""
    return f"json {shorthand(schema, schema)}\n{text.strip()}"


def choice_prompt(options: list[str], text: str) -> str:
    """The prompt for the one of `options` that fits `text`."""
    return f"choose {' | '.join(options)}\n{text.strip()}"


def fill_prompt(template: str, text: str) -> str:
    """The prompt for `template` (holes written as {name}) filled with the facts of `text`."""
    return f"fill {template.strip()}\nwith {text.strip()}"


def shorthand(schema: dict | bool, root: dict, depth: int = MAX_REFERENCES) -> str:
    """A schema in one short line: what a key is called, its type, its few allowed values."""
    if not isinstance(schema, dict) or depth < 0:
        return "any"
    if "$ref" in schema:
        return shorthand(_resolve(schema["$ref"], root), root, depth - 1)
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if "enum" in schema:
        return " | ".join(v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in schema["enum"])
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return " | ".join(shorthand(option, root, depth - 1) for option in schema[keyword])
    if "allOf" in schema:
        merged = {key: value for part in schema["allOf"] for key, value in part.items()}
        return shorthand(merged | {k: v for k, v in schema.items() if k != "allOf"}, root, depth - 1)
    kind = schema.get("type", "object" if "properties" in schema else "any")
    if isinstance(kind, list):
        return " | ".join(shorthand(schema | {"type": one}, root, depth - 1) for one in kind)
    if kind == "object" and "properties" in schema:
        required = schema.get("required", [])
        return "{%s}" % ", ".join(
            f"{key}{'' if key in required else '?'}: {shorthand(value, root, depth - 1)}"
            for key, value in schema["properties"].items()
        )
    if kind == "array":
        return f"[{shorthand(schema.get('items', True), root, depth - 1)}]"
    return schema.get("format", kind)


def _resolve(reference: str, root: dict) -> dict | bool:
    node = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            node = node.get(part.replace("~1", "/").replace("~0", "~"), True) if isinstance(node, dict) else True
    return node

"""Which draft a schema is read as, and what differs in the older ones."""

import pytest

import dgemma_constrain as dc

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_6 = "http://json-schema.org/draft-06/schema#"


def judged(schema, *texts):
    constraint = dc.json_schema(schema)
    return [constraint.matches(text) for text in texts]


@pytest.mark.parametrize(
    "uri",
    [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-04/schema",
        "https://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-04/hyper-schema#",
        "http://json-schema.org/draft-05/schema#",
        "http://json-schema-org/draft-04/schema#",
        "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
    ],
)
def test_a_draft_is_known_by_all_the_names_that_real_schemas_give_it(uri):
    assert judged({"$schema": uri, "minimum": 0, "exclusiveMinimum": True, "const": 7}, "0", "1") == [False, True]


@pytest.mark.parametrize("uri", [None, "http://json-schema.org/schema#"])
def test_where_no_draft_is_named_older_forms_are_read_as_they_were_meant(uri):
    named = {} if uri is None else {"$schema": uri}
    pair = {"type": "array", "items": [{"type": "string"}, {"const": 1}], "additionalItems": False}
    assert judged({**named, **pair}, '["a", 1]', "[]", '["a", 1, 1]', "[1]") == [True, True, False, False]
    assert judged({**named, "properties": {"a": pair}}, '{"a": ["b", 1]}', '{"a": [1]}') == [True, False]
    assert judged({**named, "maximum": 5, "exclusiveMaximum": True}, "4.5", "5") == [True, False]
    assert judged({**named, "maximum": 5, "exclusiveMaximum": False}, "5", "5.5") == [True, False]
    assert judged({**named, "prefixItems": [{"const": 1}]}, "[1]", "[2]") == [True, False]


def test_draft_4_has_its_own_words():
    schema = {
        "$schema": DRAFT_4,
        "id": "http://example.com/person.json",
        "type": "object",
        "properties": {"id": {"type": "integer"}, "age": {"$ref": "#/definitions/age", "minimum": 50}},
        "definitions": {"age": {"type": "number", "maximum": 99, "exclusiveMaximum": True}},
    }
    assert judged(schema, '{"id": 1, "age": 3}', '{"id": 1, "age": 99}', '{"id": "a"}') == [True, False, False]
    base = {"$schema": DRAFT_4, "definitions": {"x": {"id": "other.json", "type": "null"}}, "$ref": "other.json"}
    assert judged(base, "null", "1") == [True, False]


def test_what_came_later_asserts_nothing_in_draft_4_and_is_listed():
    constraint = dc.json_schema({"$schema": DRAFT_4, "const": 1, "contains": {"type": "null"}, "if": {}, "then": False})
    assert constraint.matches("2") and constraint.matches("[1]")
    assert {relaxed.keyword for relaxed in constraint.relaxed} == {"const", "contains", "if", "then"}
    assert judged({"$schema": DRAFT_6, "const": 1, "if": {}, "then": False}, "1", "2") == [True, False]


def test_in_draft_4_an_integer_is_written_without_fraction():
    integer = {"type": "integer"}
    texts = ("0", "-0", "7", "7.0", "7e1", "7.5")
    for schema, expected in (
        (integer, [True, True, True, False, False, False]),
        ({"type": ["integer", "string"], "minimum": 1}, [False, False, True, False, False, False]),
        ({"type": ["integer", "number"]}, [True] * 6),
        ({"anyOf": [integer, {"type": "number", "minimum": 7.2}]}, [True, True, True, False, True, True]),
        ({"not": {"not": integer}}, [True, True, True, False, False, False]),
        ({"not": integer}, [False, False, False, False, False, True]),  # 7.0 is left out
    ):
        assert judged({"$schema": DRAFT_4, **schema}, *texts) == expected, schema
    assert judged({"$schema": DRAFT_6, **integer}, *texts) == [True, True, True, True, True, False]


def test_a_choice_that_contains_itself_is_no_circle():
    """As OpenAPI's generators write it: whether the branches overlap need not be known to read them."""
    node = {"type": "object", "properties": {"more": {"$ref": "#/definitions/any"}}, "required": ["more"]}
    schema = {
        "$ref": "#/definitions/any",
        "definitions": {"any": {"oneOf": [{"$ref": "#/definitions/node"}, {"type": "boolean"}]}, "node": node},
    }
    assert judged(schema, '{"more": {"more": true}}', "false", '{"more": 1}', "{}") == [True, True, False, False]

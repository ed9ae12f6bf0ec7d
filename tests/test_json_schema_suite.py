"""The JSON Schema Test Suite in three drafts: nothing is wrong, and little is refused.

Read from ../shared/data next to the checkout; skipped without it.
"""

from collections import Counter

import pytest

from benchmarks.json_schema_suite import DRAFTS, SUITE, files, outcomes, registry, table

needs_suite = pytest.mark.skipif(not SUITE.exists(), reason=f"no JSON Schema Test Suite at {SUITE}")
QUICK = ("anyOf", "const", "dependentSchemas", "dynamicRef", "oneOf", "properties", "ref", "type", "unevaluatedItems")


def results(draft, wanted=lambda path: True):
    documents = registry(draft)
    return [o for path in files(draft) if wanted(path) for o in outcomes(draft, path, documents)]


def is_spelling(outcome):
    """Whether all that is left out are spellings that a large schema, such as a meta-schema, leaves out."""
    return outcome.result == "partial" and "in one spelling" in outcome.why


@needs_suite
def test_some_of_the_suite():
    found = results("draft2020-12", lambda path: path.parent.name == "draft2020-12" and path.stem in QUICK)
    assert [o for o in found if o.result not in ("right", "refused") and not is_spelling(o)] == []
    assert len([o for o in found if o.result == "refused"]) < 0.1 * len(found)
    assert "| ref |" in table(found)


@needs_suite
@pytest.mark.slow
@pytest.mark.parametrize("draft", DRAFTS)
def test_the_whole_suite(draft):
    found = results(draft)
    assert [o for o in found if o.result == "wrong"] == []
    count = Counter(o.result for o in found)
    assert count["refused"] <= 6 and count["partial"] <= 7 and count["right"] >= 270
    assert all(o.file.startswith("optional/format") or is_spelling(o) for o in found if o.result == "partial")

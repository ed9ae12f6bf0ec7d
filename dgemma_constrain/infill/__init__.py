"""Completing code: the middle of a file, always syntactically whole.

    import dgemma_constrain as dc

    dc.infill.complete("def area(r):\\n    return ", 26, language="python")

languages   which there are, and their tree-sitter grammars
hole        what is to be written where
judge       whether a file with the hole filled is whole
"""

"""Job 3: the missing middle of a line, between what is there."""

import dgemma_constrain as dc

model = dc.load()
prefix, suffix = "def area(width, height):\n    return ", "\n\n\nprint(area(2, 3))\n"

# A toy grammar of products and sums; whole programming languages come with tree-sitter in a later version.
expression = dc.regex(r"[a-z]{1,8}( [-+*/] [a-z]{1,8}){0,2}")

out = model.infill(prefix, suffix, constraint=expression)
print(prefix + out.text + suffix)

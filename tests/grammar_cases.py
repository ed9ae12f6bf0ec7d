"""Lark grammars of every kind, and whether Lark builds an LALR parser for them."""

JSON = r"""
start: value
?value: object | array | string | SIGNED_NUMBER | "true" | "false" | "null"
array: "[" [value ("," value)*] "]"
object: "{" [pair ("," pair)*] "}"
pair: string ":" value
string: ESCAPED_STRING
%import common.ESCAPED_STRING
%import common.SIGNED_NUMBER
%import common.WS
%ignore WS
"""

ARITHMETIC = r"""
?start: sum
?sum: product | sum "+" product -> add | sum "-" product -> sub
?product: atom | product "*" atom | product "/" atom
?atom: NUMBER | "-" atom | NAME | "(" sum ")"
%import common.CNAME -> NAME
%import common.NUMBER
%import common.WS_INLINE
%ignore WS_INLINE
"""

KEYWORDS = r"""
start: statement+
statement: "if" expression "then" statement* "end" | "let" NAME "=" expression ";" | "print" expression ";"
expression: NAME | NUMBER | "not" expression | "(" expression "and" expression ")"
NAME: /[a-z_][a-z_0-9]*/
NUMBER: /[0-9]+/
%ignore /[ \n]+/
"""

LISTS = r"""
start: list
list: "(" (list | ATOM)* ")"
ATOM: /[a-z]+/
%ignore " "
"""

EXPRESSIONS = r"""
?start: test
?test: or_test ["if" or_test "else" test] | "lambda" [NAME ("," NAME)*] ":" test
?or_test: and_test ("or" and_test)*
?and_test: not_test ("and" not_test)*
?not_test: "not" not_test | comparison
?comparison: arith (_op arith)*
!_op: "<" | ">" | "==" | "in" | "not" "in" | "is" | "is" "not"
?arith: term (("+" | "-") term)*
?term: power (("*" | "//" | "/" | "%") power)*
?power: atom trailer* ["**" power]
trailer: "(" [test ("," test)*] ")" | "[" test "]" | "." NAME
?atom: NAME | NUMBER | STRING | "(" test ")" | "[" [test ("," test)* [","]] "]" | "None" | "True"
NAME: /[^\W\d]\w*/
NUMBER: /\d+(\.\d*)?([eE][+-]?\d+)?/
STRING: /'[^'\n]*'/ | /"[^"\n]*"/
%ignore /[ \t]+/
"""

COMMENTS = r"""
start: (NAME "=" NUMBER ";")*
NAME: /[a-z]+/
NUMBER: /[0-9]+/
COMMENT: "/*" /(.|\n)*?/ "*/" | "#" /[^\n]*/
%ignore COMMENT
%ignore /\s+/
"""

STRINGS = r"""
start: ESCAPED_STRING ("," (ESCAPED_STRING | LONG))*
LONG.2: /'''.*?'''/s
%import common.ESCAPED_STRING
%ignore " "
"""

PRIORITIES = r"""
start: (HEX | NUMBER | WORD | "x")*
HEX.2: /0[a-f]/
NUMBER: /[0-9]+/
WORD.-1: /[a-z]+[0-9]?/
%ignore " "
"""

IGNORING_CASE = r"""
start: "SELECT"i columns "FROM"i NAME ["WHERE"i NAME "=" NAME]
columns: "*" | NAME ("," NAME)*
NAME: /[a-z]+/i
%ignore " "
"""

TEMPLATES = r"""
start: "{" _separated{pair, ","}? "}"
_separated{item, by}: item (by item)*
pair: KEY ":" (pair_list{KEY} | KEY)
pair_list{item}: "[" _separated{item, ";"} "]"
KEY: "a".."z"
"""

REPEATS = r"""
start: A~2..4 ("-" digit~3)~1..2 [B] ["x"] ["y"] ["z"] B~0..60
digit: "0" | "1"
A: "a"
B: "b"~2
"""

AMBIGUOUS = r"""
start: item+
item: item item | WORD | "(" item? ")" | WORD "?" item
WORD: /[ab]+/
%ignore " "
"""

NULLABLE = r"""
start: a b c | start ";" start
a: "x"*
b: a a | c
c: | "y" b
"""

LARK = {
    "json": (JSON, True),
    "arithmetic": (ARITHMETIC, True),
    "keywords": (KEYWORDS, True),
    "lists": (LISTS, True),
    "expressions": (EXPRESSIONS, True),
    "comments": (COMMENTS, True),
    "strings": (STRINGS, True),
    "priorities": (PRIORITIES, True),
    "ignoring case": (IGNORING_CASE, True),
    "templates": (TEMPLATES, True),
    "repeats": (REPEATS, True),
    "ambiguous": (AMBIGUOUS, False),
    "nullable": (NULLABLE, False),
}

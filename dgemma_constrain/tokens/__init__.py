"""Tokens as bytes: what each id of a tokenizer adds to a text, and the trie over them."""

from dgemma_constrain.tokens.vocabulary import Vocabulary

__all__ = ["Vocabulary"]

"""A file of prompts, a file of results: `rows` (what is asked) → `write` (a model answers) → `results` (what survives a kill)."""

"""What a text must satisfy. Knows characters, no tokenizer.

Reading order: explain, base (the algebra) → terms (the elementary ones) → template → regex → json_schema → schema (its wrapper)
→ grammar → compose (grammars inside other constraints).
"""

"""The language server of dgemma_constrain: completions from a diffusion language model in any editor.

    editor ──> server ──> worker ──> engine ──> dgemma_constrain
    (LSP)      (documents, (a process    (code, JSON under
               debounce,   with the      its schema)
               cache)      model)

Reading order: documents (what the editor has), syntax (its tree), settings, suggestions (what may be shown), completing, server (the
protocol), grammar_check, schema_check; then what runs in the other process: worker, engine, json_holes.
"""

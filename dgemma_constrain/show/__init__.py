"""Pictures of a text being written: live in a terminal (`terminal`), and as a page to keep (`html`)."""

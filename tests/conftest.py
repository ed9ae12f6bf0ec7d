"""Hypothesis without deadlines: the first example of a test may compile kernels."""

from hypothesis import settings

settings.register_profile("project", deadline=None)
settings.load_profile("project")

"""Revisions of the shared schema."""

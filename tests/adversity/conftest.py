"""Some of what can go wrong is tried on both databases."""

from both_databases import database_url

__all__ = ["database_url"]

"""What separates tenants holds on both databases."""

from both_databases import database_url, server

__all__ = ["database_url", "server"]

"""Revisions of each tenant's schema."""

"""How properties are tried: so many examples, on machines of any speed, leaving nothing behind."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

PROPERTY = settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
"""To decorate a property with."""

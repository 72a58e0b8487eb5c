"""The composition root: the one place that knows delivery and orchestration both, and makes them one server."""

from orchestrator.errors import InvalidRequestError, StoreError
from orchestrator.ports import LanguageModel
from orchestrator.store import DatabaseInUseError, MigrationReport, NewerSchemaError, OlderSchemaError
from realtime.wiring.admin import Administration, LastOwnerError, administer
from realtime.wiring.callers import LOCAL, Caller, MissingError, Seat, find_seat
from realtime.wiring.cancelling import cancel_run
from realtime.wiring.credentials import Admission, admit, mint_token, new_sign_in_link
from realtime.wiring.home import Home, open_home
from realtime.wiring.opening import (
    HomeLockedError,
    check_project_slug,
    check_tenant_slug,
    hold_home,
    migrate,
    printable_url,
)
from realtime.wiring.usage import read_usage

__all__ = [
    "LOCAL",
    "Administration",
    "Admission",
    "Caller",
    "DatabaseInUseError",
    "Home",
    "HomeLockedError",
    "InvalidRequestError",
    "LanguageModel",
    "LastOwnerError",
    "MigrationReport",
    "MissingError",
    "NewerSchemaError",
    "OlderSchemaError",
    "Seat",
    "StoreError",
    "administer",
    "admit",
    "cancel_run",
    "check_project_slug",
    "check_tenant_slug",
    "find_seat",
    "hold_home",
    "migrate",
    "mint_token",
    "new_sign_in_link",
    "open_home",
    "printable_url",
    "read_usage",
]

"""Columns with a meaning of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from django.db import models

_Set = TypeVar("_Set")
_Get = TypeVar("_Get")

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    class _Text(models.CharField[_Set, _Get]):
        """Django's field, generic as its types have it."""
else:

    class _Text(models.CharField, Generic[_Set, _Get]):
        """Django's field, which at run time is not generic."""


MAX_ID: Final = 22
"""An instance's or a record's id: base64url of 16 octets."""

MAX_THUMBPRINT: Final = 43
"""An RFC 7638 thumbprint in base64url."""

MAX_KEY_ID: Final = 64
"""An App Attest key id is base64 of 32 octets, 44 characters."""

MAX_NAME: Final = 255
"""Names that operators and platforms give: apps, identities, routes."""


class IdentifierField(_Text[_Set, _Get]):
    """Text that is compared octet by octet, and only as a whole: ids, thumbprints, names of the wire.

    On PostgreSQL such a column is collated "C", so that it compares and sorts as octets on every host and
    an upgrade of the system's locales cannot corrupt its index; and it gets no second index for
    LIKE, which Django adds to every unique column whose type it spells `varchar`.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        """Spell the same type as PostgreSQL itself does."""
        if connection.vendor == "postgresql":
            return f"character varying({self.max_length})"
        return super().db_type(connection)

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Add the collation, which SQLite has by default."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters


class EnvironmentField(IdentifierField[_Set, _Get]):
    """One of `terms.Environment`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 12} | options)


class AppField(IdentifierField[_Set, _Get]):
    """The id of an app (`sub`), as text and not as a foreign key: see the rules of this package."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": MAX_NAME} | options)

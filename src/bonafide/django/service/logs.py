"""Structured logs: one JSON object a line, on standard error, and nothing in it that a client could make secret.

Rule of this file: of what code hangs on a log record only the key `bonafide` is written. Django hangs whole requests
there, with their query.
"""

from __future__ import annotations

import logging
import logging.config
from typing import TYPE_CHECKING, Any, Final

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

if TYPE_CHECKING:
    from pythonjsonlogger.core import LogData

_RENAMED: Final = {"levelname": "level", "name": "logger"}


class JsonLines(JsonFormatter):
    """Time, level, logger, process, message, and what Bonafide says besides; a traceback under `exc_info`."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "process", "message"],
            rename_fields=_RENAMED,
            timestamp="time",
            json_ensure_ascii=True,
        )

    def add_fields(self, log_data: LogData, record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Leave out what others hang on records."""
        kept = {key: value for key, value in vars(record).items() if key in _KEPT}
        super().add_fields(log_data, logging.makeLogRecord(kept), message_dict)
        own = log_data.pop("bonafide", None)
        if isinstance(own, dict):
            log_data.update({key: value for key, value in own.items() if key not in log_data})


_KEPT: Final = frozenset([*RESERVED_ATTRS, "bonafide", "message"])


def configuration() -> dict[str, Any]:
    """Return the logging of every process: Django's, Bonafide's and the server's own lines go one way."""
    handlers = ["stderr"]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "json"},
        },
        "root": {"handlers": handlers, "level": "WARNING"},
        "loggers": {
            "bonafide": {"handlers": handlers, "level": "INFO", "propagate": False},
            "django": {"handlers": handlers, "level": "WARNING", "propagate": False},
            # The client's fault, told in the access log already; its message is the path.
            "django.request": {"handlers": handlers, "level": "ERROR", "propagate": False},
            "_granian": {"handlers": handlers, "level": "INFO", "propagate": False},
            "granian.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
        },
    }


def apply() -> None:
    """Log like this from now on, in a process that has not set Django up."""
    logging.config.dictConfig(configuration())

"""The replay store of several hosts."""

from __future__ import annotations

from bonafide.stores.redis.store import RedisReplayStore

__all__ = ["RedisReplayStore"]

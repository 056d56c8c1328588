"""Switch breakers at a person's word, from a command or over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from deployments.unknown import refuse_unknown
from policy.errors import ConfigError
from policy.pinnable import spoken
from storage import breakers as stored
from storage import reading
from storage.breakers import EVERYONE
from storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a person says.

    Attributes:
        by: who, as `policy.pinnable.spoken` gives it.
        reason: why, likewise.
        at: when, aware UTC.
        audit: whether it is an audit entry.
    """

    by: str
    reason: str
    at: datetime
    audit: bool


def named(tenant: str | None) -> str:
    """Whose breaker is meant; None is everyone's.

    Raises:
        ConfigError: that is no tenant's name.
    """
    return EVERYONE if tenant is None else spoken(tenant, of="the tenant")


def whose(tenant: str) -> str:
    """`the breaker of acme`."""
    return f"the breaker of {tenant}" if tenant else "every breaker"


def switch_on(where: str | Database, *, tenant: str, word: Word) -> None:
    """Let it work again.

    Raises:
        ConfigError: it is not switched off.
        StorageError: the history cannot be reached or written.
    """
    if tenant not in reading.breakers_off(where)["tenant"]:
        raise ConfigError(f"{whose(tenant)} is not switched off; `mlo breaker list` tells which is")
    _switch(where, tenant=tenant, on=True, word=word)


def switch_off(where: str | Database, *, tenant: str, word: Word) -> None:
    """Let it cap nobody until it is switched on; blasts are told as before.

    Raises:
        ConfigError: nothing is known of such a tenant.
        StorageError: the history cannot be reached or written.
    """
    if tenant != EVERYONE:
        refuse_unknown(tenant, known=reading.known_tenants(where))
    _switch(where, tenant=tenant, on=False, word=word)


def reset(where: str | Database, *, tenant: str, word: Word) -> None:
    """Close it at once, lift its caps, forget its openings.

    Raises:
        ConfigError: it is closed.
        StorageError: the history cannot be reached or written.
    """
    if tenant not in reading.breakers(where)["tenant"]:
        raise ConfigError(f"{whose(tenant)} is closed; `mlo breaker list` lists the others")
    stored.reset(
        where,
        tenant=tenant,
        by=word.by,
        reason=word.reason,
        at=word.at,
        audit=word.audit,
    )


def _switch(where: str | Database, *, tenant: str, on: bool, word: Word) -> None:
    stored.switch(
        where,
        tenant=tenant,
        on=on,
        by=word.by,
        reason=word.reason,
        at=word.at,
        audit=word.audit,
    )

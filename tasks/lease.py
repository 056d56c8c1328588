"""The Lease of Kubernetes that says which process writes, with an epoch that only grows.

Who holds it renews it with every run; who does not watches it, and takes it over when it has not
been renewed for as long as its holder promised, by the watcher's own clock: clocks need not agree.
Every change of the holder counts the epoch up. The epoch is then left at the sink, so what a
former writer read before that can no longer be replaced by it, however long it slept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from policy.errors import ConfigError, OptimizerError
from tasks.config_map import Place
from tasks.kubernetes_client import (
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    Answer,
    answered,
    api_client,
    raw,
    refused,
)
from tasks.writer import NotTheWriter

if TYPE_CHECKING:
    from kubernetes.client import CoordinationV1Api

_RENEWED_EVERY: Final = 3  # times within the duration
_MICRO_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_NAMED: Final = 253  # characters that Kubernetes takes for a holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a Lease says: who holds it, since which change, and the word by which it is renewed."""

    version: str
    holder: str
    epoch: int
    renewed: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    version: str
    epoch: int
    renewed_at: float


class Lease:
    """A writer by a Lease."""

    def __init__(
        self,
        place: Place,
        *,
        identity: str,
        duration: timedelta,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """A Lease at a place; nothing is asked yet.

        Args:
            place: its namespace and name.
            identity: who we are. A process that starts again under it takes the Lease at once, so
                two that may live at the same time must not share one.
            duration: how long it holds without being renewed.
            clock: aware UTC, for people who read the Lease.
            monotonic: seconds, for what we measure.
        """
        self._place = place
        self._identity = identity[:_NAMED]
        self._duration = duration
        self._clock = clock
        self._monotonic = monotonic
        self._held: _Held | None = None
        self._seen: tuple[Record, float] | None = None

    def hold(self, *, at_least: int = 0) -> int:
        """Be the writer: renew, or take what is free; see `tasks.writer.Writer`.

        Raises:
            NotTheWriter: another process holds it.
            ConfigError: a right is missing.
            RetriableError: the API does not answer just now.
        """
        now, held = self._monotonic(), self._held
        fresh = self._duration.total_seconds() / _RENEWED_EVERY
        if held is not None and held.epoch >= at_least and now - held.renewed_at < fresh:
            return held.epoch
        found = self._read()
        if found is None:
            return self._take(None, epoch=max(held.epoch + 1 if held else 1, at_least), now=now)
        if held is not None and found.holder == self._identity and found.epoch == held.epoch:
            return self._take(found, epoch=max(held.epoch, at_least), now=now)
        self._held = None
        if found.holder not in {"", self._identity} and not self._has_expired(found, now=now):
            raise self._stands_by(found)
        return self._take(found, epoch=max(found.epoch + 1, at_least), now=now)

    def release(self) -> None:
        """Say that nobody holds it, if we do; what cannot be said expires by itself."""
        held, self._held = self._held, None
        if held is None:
            return
        free = self._body(held.version, holder="", epoch=held.epoch)
        self._asked(
            lambda api: api.replace_namespaced_lease(
                self._place.name, self._place.namespace, free, **raw(self._place.timeout)
            )
        )

    def _has_expired(self, found: Record, *, now: float) -> bool:
        """Whether it has stood unchanged for as long as its holder promised to renew it."""
        if self._seen is None or self._seen[0] != found:
            self._seen = (found, now)
        promised = found.seconds or self._duration.total_seconds()
        return now - self._seen[1] >= promised

    def _take(self, found: Record | None, *, epoch: int, now: float) -> int:
        place = self._place
        body = self._body(found.version if found else None, holder=self._identity, epoch=epoch)
        answer = self._asked(
            lambda api: (
                api.create_namespaced_lease(place.namespace, body, **raw(place.timeout))
                if found is None
                else api.replace_namespaced_lease(
                    place.name, place.namespace, body, **raw(place.timeout)
                )
            )
        )
        if answer.status == CONFLICT or (answer.status == NOT_FOUND and found is not None):
            self._held = None
            raise NotTheWriter(
                f"{self._name} was taken by another process at this moment: this one stands by"
            )
        if not answer.is_success:
            raise self._refusal(answer, verb="create" if found is None else "update")
        taken = _record(answer.body)
        self._held = _Held(version=taken.version, epoch=epoch, renewed_at=now)
        return epoch

    def _read(self) -> Record | None:
        place = self._place
        answer = self._asked(
            lambda api: api.read_namespaced_lease(place.name, place.namespace, **raw(place.timeout))
        )
        if answer.status == NOT_FOUND:
            return None
        if not answer.is_success:
            raise self._refusal(answer, verb="get")
        return _record(answer.body)

    def _body(self, version: str | None, *, holder: str, epoch: int) -> Any:  # noqa: ANN401 - JSON
        place = self._place
        about: dict[str, object] = {"name": place.name, "namespace": place.namespace}
        now = self._clock().astimezone(UTC).strftime(_MICRO_TIME)
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": about | ({"resourceVersion": version} if version else {}),
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(1, round(self._duration.total_seconds())),
                "leaseTransitions": epoch,
                "renewTime": now,
            },
        }

    @property
    def _name(self) -> str:
        return f"the Lease {self._place.namespace}/{self._place.name}"

    def _stands_by(self, found: Record) -> NotTheWriter:
        return NotTheWriter(
            f"{found.holder} writes there and holds {self._name}: this process stands by, and "
            f"takes over when it has not been renewed for {found.seconds:g} s"
        )

    def _asked(self, ask: Callable[[CoordinationV1Api], object]) -> Answer:
        from kubernetes.client import CoordinationV1Api  # noqa: PLC0415 - slow, in a cluster only

        return answered(lambda: ask(CoordinationV1Api(api_client(self._place.kubeconfig))))

    def _refusal(self, answer: Answer, *, verb: str) -> OptimizerError:
        if answer.status == FORBIDDEN:
            return ConfigError(
                f"the Kubernetes API does not let us {verb} {self._name} (403): grant get, create "
                f"and update on leases of coordination.k8s.io in namespace {self._place.namespace}"
            )
        return refused(answer, what=self._name, mend=f"check {self._place.mend}")


def _record(body: bytes) -> Record:
    try:
        found = json.loads(body)
        spec = found.get("spec") or {}
        return Record(
            version=str(found["metadata"]["resourceVersion"]),
            holder=str(spec.get("holderIdentity") or ""),
            epoch=int(spec.get("leaseTransitions") or 0),
            renewed=str(spec.get("renewTime") or ""),
            seconds=float(spec.get("leaseDurationSeconds") or 0),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            "the Kubernetes API answered something that is no Lease: is a proxy in between?"
        ) from None

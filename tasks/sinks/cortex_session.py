"""Change the overrides of many tenants, several at once; one that fails stops no other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from policy.errors import Conflict, OptimizerError
from tasks.sinks.cortex_claims import Claim, Values
from tasks.sinks.cortex_client import CortexOverrides, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to become of one tenant.

    Attributes:
        tenant: its id.
        claim: with all limits that were ours and all that become ours.
        wanted: our limits from now on.
        told: what the tenant has now, of anybody.
    """

    tenant: str
    claim: Claim
    wanted: Values
    told: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The API while a client is open."""

    api: CortexOverrides
    concurrency: int

    def told(self, tenants: Iterable[str]) -> dict[str, dict[str, float]]:
        """What each tenant has now, of anybody.

        Raises:
            ConfigError: the API refuses us.
            RetriableError: it does not answer.
        """
        names = sorted(tenants)
        with ThreadPoolExecutor(self.concurrency) as pool:
            return dict(zip(names, pool.map(self.api.told, names), strict=True))

    def make(self, changes: Sequence[Change]) -> dict[str, Claim | OptimizerError]:
        """Write each tenant; gives the claim that is left of it, or why it is not written."""
        with ThreadPoolExecutor(self.concurrency) as pool:
            outcomes = list(pool.map(self._outcome, changes))
        return {change.tenant: left for change, left in zip(changes, outcomes, strict=True)}

    def _outcome(self, change: Change) -> Claim | OptimizerError:
        try:
            return self._made(change)
        except OptimizerError as refusal:
            return refusal

    def _made(self, change: Change) -> Claim:
        name, claim, told = change.tenant, change.claim, change.told
        before = claim.before
        withdrawn = sorted(before.keys() - change.wanted.keys())
        # The API has no word for "no override": only the whole tenant can be dropped.
        unset = [limit for limit in withdrawn if before[limit] is None and limit in told]
        if unset and not claim.is_alone(told):
            raise Refused(
                f"{', '.join(unset)} of {name} cannot be withdrawn: somebody else has limits "
                "there, and none stood before ours; set it in Cortex"
            )
        if unset:
            self.api.delete(name)
            told, claim = {}, replace(claim, beside=None)
        back = {limit: value for limit in withdrawn if (value := before[limit]) is not None}
        target = {**back, **change.wanted}
        if posted := {limit: value for limit, value in target.items() if told.get(limit) != value}:
            self.api.merge(name, posted)
        return self._proven(name, claim=claim, wanted=change.wanted, target=target)

    def _proven(self, tenant: str, *, claim: Claim, wanted: Values, target: Values) -> Claim:
        """The claim that is left, once the API shows what was written."""
        now = self.api.told(tenant)
        lost = sorted(limit for limit, value in target.items() if now.get(limit) != value)
        if lost:
            raise Conflict(
                f"{lost[0]} of {tenant} was overwritten while we wrote it; read it again "
                "and decide again"
            )
        kept = {limit: value for limit, value in claim.before.items() if limit in wanted}
        if not claim.created:
            return replace(claim, before=kept)
        others = {limit: value for limit, value in now.items() if limit not in claim.before}
        beside = others if claim.beside is None else claim.beside
        return replace(claim, before=kept, beside=beside)

"""All settings in one frozen value. A file with nothing in it means the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from policy.settings.alerting import Alerting
from policy.settings.audit_log import AuditLog
from policy.settings.automation import Automation, Movement
from policy.settings.breaker import CircuitBreaker
from policy.settings.connection import (
    MetricsDiscovery,
    MimirSettings,
    PrefectServer,
    Publish,
    Server,
    Storage,
)
from policy.settings.cost import CostControl
from policy.settings.demand import EventSpike, TrendAnalysis
from policy.settings.emergency import Emergency
from policy.settings.execution import Execution
from policy.settings.limits import Limits
from policy.settings.masking import masked
from policy.settings.performance import Performance
from policy.settings.promql import Promql
from policy.settings.section import Section, fold
from policy.settings.tenants import Synthetic, TenantScoping
from policy.settings.values import Faults, Interval, Percent

_MODES: Final[Mapping[str, str]] = {
    "dryrun": "dry-run",
    "prod": "prod",
    "production": "prod",
}
_LEVELS: Final[Mapping[str, str]] = {"warn": "warning"}


def _mode(value: object) -> object:
    return _MODES.get(fold(value.strip()), value) if isinstance(value, str) else value


def _level(value: object) -> object:
    if not isinstance(value, str):
        return value
    return _LEVELS.get(value.lower(), value.lower())


class Settings(Section):
    """Everything that an operator may set. In `dry-run`, the default, nothing is published."""

    mode: Annotated[Literal["dry-run", "prod"], BeforeValidator(_mode)] = "dry-run"
    buffer_percentage: Percent = 20.0
    update_interval: Interval = timedelta(minutes=5)
    protect_interval: Interval = timedelta(seconds=15)
    cost_interval: Interval = timedelta(hours=1)
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_level)] = (
        "info"
    )
    log_format: Literal["text", "json"] = "text"

    metrics_source: Literal["scrape", "promql"] = "scrape"
    mimir: MimirSettings = MimirSettings()
    promql: Promql = Promql()
    publish: Publish = Publish()
    storage: Storage = Storage()
    server: Server = Server()
    prefect: PrefectServer = PrefectServer()

    limits: Limits = Field(default_factory=Limits)
    tenant_tier_mapping: dict[str, str] = Field(default_factory=dict)
    """The tier of a tenant by pattern; the first pattern that matches decides."""
    tenant_scoping: TenantScoping = TenantScoping()
    metrics_discovery: MetricsDiscovery = MetricsDiscovery()
    trend_analysis: TrendAnalysis = TrendAnalysis()
    event_spike: EventSpike = EventSpike()
    automation: Automation = Automation()
    movement: Movement = Movement()

    cost_control: CostControl = CostControl()
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    emergency: Emergency = Emergency()
    alerting: Alerting = Alerting()
    performance: Performance = Performance()
    execution: Execution = Execution()
    audit_log: AuditLog = AuditLog()
    synthetic: Synthetic = Synthetic()

    @model_validator(mode="after")
    def _tiers_exist(self) -> Self:
        tiers = self.limits.tenant_tiers
        faults = {
            f"tenantTierMapping.{pattern}": f"{tier!r} is no tier of limits.tenantTiers{_or(near)}"
            for pattern, tier in self.tenant_tier_mapping.items()
            if tier not in tiers
            for near in [get_close_matches(tier, tiers, n=1)]
        }
        if faults:
            raise Faults(faults)
        return self

    @model_validator(mode="after")
    def _audit_has_its_own_config_map(self) -> Self:
        audit = self.audit_log
        shared = audit.config_map.name == self.mimir.config_map_name
        if audit.storage_type == "configmap" and shared:
            raise Faults(
                {
                    "auditLog.configMap.name": (
                        f"{audit.config_map.name} is the one of mimir.configMapName; give the "
                        "audit log one of its own"
                    )
                }
            )
        return self

    def masked(self) -> dict[str, object]:
        """Plain values by canonical key, durations like `5m`, secrets as asterisks."""
        return masked(self)


def _or(near: list[str]) -> str:
    return f"; did you mean {near[0]}?" if near else ""

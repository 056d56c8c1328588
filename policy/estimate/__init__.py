"""How much of a limit a tenant needs, read out of its history; see `policy.estimate.estimation`."""

from policy.estimate.estimation import estimate, estimate_daily
from policy.estimate.risk import RISKS, probability
from policy.estimate.rules import EstimateRules, SpikeRules, estimate_rules
from policy.estimate.strategies import Strategy

__all__ = [
    "RISKS",
    "EstimateRules",
    "SpikeRules",
    "Strategy",
    "estimate",
    "estimate_daily",
    "estimate_rules",
    "probability",
]

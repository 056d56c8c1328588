"""How much of a limit a tenant needs, read out of its history; see `policy.estimate.estimation`."""

from policy.estimate.estimation import estimate
from policy.estimate.risk import probability
from policy.estimate.rules import EstimateRules, SpikeRules, estimate_rules
from policy.estimate.strategies import Strategy

__all__ = [
    "EstimateRules",
    "SpikeRules",
    "Strategy",
    "estimate",
    "estimate_rules",
    "probability",
]

"""A Mimir to practise on: tenants with habits, real metric names, limits that bite.

The simulator reads the runtime file that someone writes, throttles by it, and shows on its
pages what that did: it closes the loop without a cluster. It imports nothing of the other
rooms, talks on loopback only, and never claims to store a sample.
"""

from simulator.cluster import Cluster, Plan
from simulator.errors import SimulatorError
from simulator.faults import Blast, Fault
from simulator.history import Past, history
from simulator.ledger import Account
from simulator.processes import endpoints
from simulator.routes import Answer, Request, respond
from simulator.server import running
from simulator.sizes import Size
from simulator.tenants import Tenant, operator_overrides, roster

__all__ = [
    "Account",
    "Answer",
    "Blast",
    "Cluster",
    "Fault",
    "Past",
    "Plan",
    "Request",
    "SimulatorError",
    "Size",
    "Tenant",
    "endpoints",
    "history",
    "operator_overrides",
    "respond",
    "roster",
    "running",
]

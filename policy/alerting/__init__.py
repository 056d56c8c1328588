"""Who is told of what: alerts, incidents, routes, escalation, patience with channels."""

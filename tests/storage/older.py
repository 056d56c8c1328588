"""Make a history what an older version left: what later migrations made is undone."""

from __future__ import annotations

# What came with the audit's migration and since.
BEFORE_11 = """
    drop table withdrawals;
    drop view v_incidents; drop view v_alert_deliveries; drop view v_alert_channels;
    drop table incidents; drop table deliveries; drop table threads; drop table channels;
    drop view v_alerts; drop table alerts;
    drop view v_savings_realised; drop table savings_followed;
    drop view v_cost_team_hourly; drop table cost_teams;
    drop view v_savings; drop table savings; drop view v_budget_status; drop table budgets;
    drop view v_cost_alerts; drop table cost_alerts;
    drop view v_backfills; drop table backfills;
    drop view v_cluster_rises; drop table cluster_rises;
    drop view v_breaker_metrics; drop table breaker_metrics;
    drop view v_leaks; drop table leaks; drop table creep_days;
    drop view v_usage_hourly; drop view v_cost_hourly; drop view v_cost_idle; drop table bills;
    drop table teams; drop table usage_imported; drop table costs;
    create table costs (
        "at" timestamptz not null, tenant varchar not null, method varchar not null,
        amount decimal(18, 6) not null, currency varchar not null, quantity double,
        price decimal(18, 9), run_id varchar
    );
    drop view v_emergency; drop table emergency;
    drop view v_breakers; drop view v_breaker_turns; drop table breakers;
    drop table breaker_turns; drop table breaker_switches; drop table breaker_thresholds;
    drop view v_holds; drop table holds; drop table pauses; drop table writer_epochs;
    drop table history_identity;
    alter table audit drop column exported;
    delete from schema_migrations where version >= 11;
"""

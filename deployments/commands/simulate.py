"""`mlo simulate`: what a drill may do to the simulated Mimir of `mlo up --simulate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from deployments.commands.options import CONFIG_HELP, DEFAULT_CONFIG, say, settings_of
from deployments.simulated import Simulated, config_beside, find_simulated, order
from deployments.unknown import refuse_unknown
from policy.errors import ConfigError
from policy.figures import figure
from policy.settings import format_duration, parse_duration

simulate_commands = typer.Typer(
    no_args_is_help=True, help="Practise on the simulated Mimir of `mlo up --simulate`."
)


class Kind(StrEnum):
    """What a tenant blasts with."""

    samples = "samples"
    series = "series"
    queries = "queries"


WORDS: Final = {
    Kind.samples: "sends {factor} times its samples and series",
    Kind.series: "creates {factor} times its series in five minutes",
    Kind.queries: "asks {factor} times its queries",
}

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help=f"{CONFIG_HELP} Without it, that of the simulation beside the history.",
    ),
]
TenantOption = Annotated[str, typer.Option("--tenant", metavar="TENANT", help="Who blasts.")]
FactorOption = Annotated[float, typer.Option("--factor", min=1.0, help="How many times its usual.")]
KindOption = Annotated[Kind, typer.Option("--kind", help="Of what.")]
ForOption = Annotated[
    str, typer.Option("--for", metavar="LENGTH", help="How long it lasts, like 5m.")
]
ProcessArgument = Annotated[
    str, typer.Argument(metavar="PROCESS", help="Such as ingester-1 or distributor-0.")
]


@simulate_commands.command()
def blast(
    context: typer.Context,
    tenant: TenantOption,
    factor: FactorOption = 10.0,
    kind: KindOption = Kind.samples,
    lasting: ForOption = "5m",
    config: ConfigOption = None,
) -> None:
    """Let a simulated tenant ask for many times its usual."""
    try:
        length = parse_duration(lasting)
    except ValueError as refusal:
        raise typer.BadParameter(str(refusal), param_hint="--for") from refusal
    simulated = _simulated(context, config)
    refuse_unknown(tenant, known=simulated.tenants)
    body = {
        "tenant": tenant,
        "factor": factor,
        "kind": kind.value,
        "seconds": length.total_seconds(),
    }
    order(simulated, what="blast", body=body)
    what = WORDS[kind].format(factor=figure(factor))
    say(f"{tenant} {what}, for {format_duration(length)}")


@simulate_commands.command()
def crash(context: typer.Context, process: ProcessArgument, config: ConfigOption = None) -> None:
    """Let a simulated process crash; it is back in half a minute, its counters begin again."""
    simulated = _simulated(context, config)
    if process not in simulated.processes:
        known = ", ".join(simulated.processes)
        raise ConfigError(f"there is no process {process!r} in the simulation; known: {known}")
    order(simulated, what="faults", body={"process": process, "kind": "crash"})
    say(f"{process} crashed and is starting again")


@simulate_commands.command()
def calm(context: typer.Context, config: ConfigOption = None) -> None:
    """End every blast and every fault that was ordered."""
    order(_simulated(context, config), what="calm", body={})
    say("every blast and fault that was ordered is over")


def _simulated(context: typer.Context, given: Path | None) -> Simulated:
    """The simulation of the configuration that was named, else of the one beside the history."""
    root = context.find_root().params.get("config")
    named = given or (Path(root) if root is not None else None)
    if named is not None:
        return find_simulated(settings_of(named))
    settings = settings_of(DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    beside = config_beside(settings)
    return find_simulated(settings if beside is None else settings_of(beside))

"""The families that every process has, and those that distributors and ingesters share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from simulator.exposition import Sample, family
from simulator.processes import Process

VERSION: Final = "3.0.3"
CONFIG_NAME: Final = "mimir-runtime-config"


def instance_families(
    process: Process, *, prefix: str, section: str, defaults: Mapping[str, float]
) -> Iterator[str]:
    """Limits of the process itself, from a section of the runtime file, and its load."""
    limits = dict(defaults) | _numbers(process, section=section)
    yield family(
        prefix + "instance_limits",
        "gauge",
        "Limits of this process; 0 is none.",
        [(f'{{limit="{name}"}}', value) for name, value in limits.items()],
    )
    yield family(
        prefix + "ingestion_rate_samples_per_second",
        "gauge",
        "Samples/s of late.",
        [("", process.samples_per_second)],
    )
    # A push carries two thousand samples and stays in flight for some twenty milliseconds, or for
    # as long as it waits for a core.
    waited = process.waiting / process.size.cores
    inflight = process.samples_per_second * (0.02 + waited) / 2_000 // 1
    yield family(prefix + "inflight_push_requests", "gauge", "Pushes in flight.", [("", inflight)])
    # Who has no core left lets pushes pile up to the limit on those in flight.
    reason = f"{section.removesuffix('_limits')}_max_inflight_push_requests"
    yield family(
        prefix + "instance_rejected_requests_total",
        "counter",
        "Pushes refused with 503, by the limit of this process that refused them.",
        [(f'{{reason="{reason}"}}', process.rejected_requests // 1)],
    )


def _numbers(process: Process, *, section: str) -> dict[str, float]:
    written = process.config.current.instance_limits.get(section, {})
    return {name: value for name, value in written.items() if isinstance(value, int | float)}


def common_families(process: Process) -> Iterator[str]:
    """Runtime configuration, build and operating system."""
    config = process.config
    label = f'config="{CONFIG_NAME}"'
    build = f'{{branch="simulated",goversion="none",revision="simulated",version="{VERSION}"}}'
    gauges: tuple[tuple[str, str, Sample], ...] = (
        (
            "cortex_runtime_config_last_reload_successful",
            "1 when the runtime files loaded the last time.",
            (f"{{{label}}}", float(config.successful)),
        ),
        (
            "cortex_runtime_config_hash",
            "The configuration in force.",
            (f'{{{label},sha256="{config.current.sha256}"}}', 1),
        ),
        ("cortex_build_info", "What was built.", (build, 1)),
        ("mimir_build_info", "What was built.", (build, 1)),
        ("process_resident_memory_bytes", "Memory.", ("", process.resident_bytes // 1)),
        # There is no garbage in a simulated process: all that it holds is needed.
        ("go_gc_heap_live_bytes", "Memory in use.", ("", process.resident_bytes // 1)),
        ("go_gc_gomemlimit_bytes", "Memory it may use.", ("", process.size.memory_bytes)),
        ("go_sched_gomaxprocs_threads", "Cores it may use.", ("", process.size.cores)),
        ("process_start_time_seconds", "When it started.", ("", process.started_at)),
        ("process_open_fds", "Open files.", ("", 64)),
    )
    yield family("process_cpu_seconds_total", "counter", "CPU.", [("", process.cpu_seconds)])
    for name, help_text, sample in gauges:
        yield family(name, "gauge", help_text, [sample])

"""`mlo serve-document`: the published runtime file over HTTP, and nothing else."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from deployments.commands.options import ConfigOption, say, settings_of

HostOption = Annotated[str | None, typer.Option("--host", help="Else server.host.")]
PortOption = Annotated[int | None, typer.Option("--port", help="Else server.port.")]


def serve_document(
    config: ConfigOption = None, *, host: HostOption = None, port: PortOption = None
) -> None:
    """Serve the document of the sink http until Ctrl-C, beside `mlo up` or without it.

    It needs the file publish.file.path and nothing else: no Prefect, no history, no Mimir.
    """
    from deployments.document import DOCUMENT_PATH  # noqa: PLC0415 - other commands need no server
    from deployments.prefect_server import refuse_taken_port  # noqa: PLC0415 - the same

    settings = settings_of(config)
    where, number = host or settings.server.host, port or settings.server.port
    refuse_taken_port(where, number, key="--port" if port else "server.port")
    say(f"serving {settings.publish.file.path} at http://{where}:{number}{DOCUMENT_PATH}")
    sys.stderr.flush()
    # A new program in our place, so that what read the settings takes no memory any more.
    command = ["-m", "deployments.document", str(settings.publish.file.path), where, str(number)]
    os.execv(sys.executable, [sys.executable, *command])  # noqa: S606 - arguments, no shell

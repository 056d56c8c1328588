"""The errors that the simulator raises on purpose: one clear line each."""


class SimulatorError(Exception):
    """Something that the caller must change: a file, a port, a name."""


class RuntimeFileError(SimulatorError):
    """The runtime files do not load; Mimir would keep what it had, or refuse to start."""

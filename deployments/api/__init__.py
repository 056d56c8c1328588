"""The HTTP API of the resident process, below `/api/v1`."""

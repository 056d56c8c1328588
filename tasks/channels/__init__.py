"""The channels: one module each, behind the protocol of `tasks.channels.base`."""

"""The gateway: runners push log bytes, heartbeats, start and exit to it. It stores; it decides nothing."""

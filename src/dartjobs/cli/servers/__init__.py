"""The servers, started by the CLI: the one package of it that imports them, and that lazily itself."""

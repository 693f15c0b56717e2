"""The command line. It starts fast: a command loads HTTP, pydantic and YAML when it needs them."""

"""The API server: it validates and records, and never talks to a cluster."""

"""Programs that benchmarks start: servers with a line to ask them by, and what there is to beat."""

"""What must be fast, measured beside what there is to beat: `python -m benchmarks` lists the commands."""

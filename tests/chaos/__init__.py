"""Kill everything, at random moments by a seed, under many jobs; then ask the oracle."""

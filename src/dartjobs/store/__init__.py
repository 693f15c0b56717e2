"""The only SQL: jobs, attempts, transitions, evidence, wake-ups, leases, clusters. Functions take a connection."""

"""The vocabulary that every part shares: what a job, an attempt and a state are. No I/O, no clock."""

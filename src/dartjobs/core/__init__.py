"""Pure decisions. Standard library and models only; no I/O, no clock, no randomness: time and ids are arguments."""

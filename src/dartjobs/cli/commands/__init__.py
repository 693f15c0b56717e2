"""A module for each command, loaded when its name is typed or listed; each defines `command`."""

"""DART Jobs: distributed Ray jobs on many clusters, through one API."""

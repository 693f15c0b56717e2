"""What a cluster is: the only code that touches one."""

"""RDS: instances, snapshots, restores, events."""

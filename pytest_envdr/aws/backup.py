"""AWS Backup: recovery points, restore jobs, what validation found."""

"""Secrets Manager: what a secret holds."""

"""Every hook, nothing but hooks."""

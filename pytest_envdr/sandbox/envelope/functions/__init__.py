"""The stack's Lambda functions, as they are uploaded: each module is one, and imports nothing of this package."""

"""Two sources in, a list of differences out; empty means equal. Streamed, and independent of one another:

database    two MariaDB servers, or a server and a manifest of what it held
bucket      two S3 buckets, their objects and their configuration
queue       a ledger and the outbox, a queue and what it was before
"""

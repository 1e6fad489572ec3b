"""S3: buckets, versions of objects, copies."""

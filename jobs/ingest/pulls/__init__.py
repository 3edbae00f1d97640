"""Fetching into landing/: new objects of an S3 prefix, changed records of a REST source. One YAML per pull beside this."""

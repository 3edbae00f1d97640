"""The way out: objects on S3, and HTTP to where it was said that it may go. Nothing else in c360 opens a connection."""

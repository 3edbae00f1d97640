"""Kafka as a source: topics to bronze, with a guard that no offset is passed over unseen."""

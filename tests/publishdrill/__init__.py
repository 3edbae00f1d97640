"""The publish drill: builds are published and publishers killed while readers read without a pause; docs/warehouse.md."""

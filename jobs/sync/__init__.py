"""Reverse ETL: plan what changed, deliver it, record what the destination acknowledged."""

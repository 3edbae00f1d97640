"""The assets that connect the DAGs. Each is emitted by the last task of a DAG, after the gate that vouches for it."""

from airflow.sdk import Asset

from jobs.core.catalog import lake_table

SILVER_EVENTS = Asset(name="silver_events", uri=lake_table("silver_events").asset_uri)
PROFILES = Asset(name="profiles", uri="c360://warehouse/marts/dim_profiles")
SEGMENTS = Asset(name="segments", uri="c360://warehouse/segments")
MODELS = Asset(name="models", uri="c360://models/champion")
RECOMMENDATIONS = Asset(name="recommendations", uri=lake_table("gold_recommendations").asset_uri)

ASSETS = {asset.name: asset for asset in (SILVER_EVENTS, PROFILES, SEGMENTS, MODELS, RECOMMENDATIONS)}

-- Not kept: copying every event once more would cost as much as all that reads it.
{{ config(materialized='ephemeral') }}

{{ envelopes(source('lake', 'silver_events')) }}

"""Maintenance of the lake while the streams run: small files together, old files gone, raw payloads past their time gone."""

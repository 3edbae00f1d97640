"""Triggers and journeys: from occasions to decisions, each once; pure, over what it is handed."""

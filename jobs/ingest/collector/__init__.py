"""The HTTP door for events: the Segment API, answered only when the messages are on disk."""

"""From delivered files and the collector's log to sealed files that the stream can read: manifest, pre-flight, sealing."""

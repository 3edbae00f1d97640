"""Pure ground that every area stands on: settings, catalog, clock, errors, hashing, logging. No engine in sight."""

"""From landing files to bronze, and from bronze to silver or quarantine, with nothing lost between."""

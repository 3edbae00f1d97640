"""One file per destination, each a class with the interface of `base`."""

"""Language models: each answers a ``ModelRequest`` bit by bit."""

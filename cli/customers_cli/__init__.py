"""The command `customers`: the HTTP API from a terminal."""

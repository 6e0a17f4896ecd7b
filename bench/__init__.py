"""Benchmarks that anyone can run again, one module for each part: `make bench PART=cold`."""

"""Benchmarks: each prints a ratio against a peer or a floor, measured side by side in one run."""

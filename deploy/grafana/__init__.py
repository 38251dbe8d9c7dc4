"""Grafana: what is provisioned, and what it is generated from."""

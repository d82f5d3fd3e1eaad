"""Keysweep beside its peers: time, requests and memory of whole processes. No tests."""

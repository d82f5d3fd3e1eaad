"""Measurements of Keysweep and similar tools: time, requests and memory of whole processes."""

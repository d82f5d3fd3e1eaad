"""Histories of events: the real command in one process, with an AWS and a clock of its own."""

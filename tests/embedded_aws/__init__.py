"""The AWS of Keysweep's tests and demo: one loopback process with strict KMS; see README.md."""

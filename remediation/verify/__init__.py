"""`keysweep verify`: run a scanner to see whether it runs the checks.

`command` parses and prints. `prowler` and `checkov` verify one scanner each, with `scanner_run`.
`fake_aws` answers the scan. `prowler_facts` and `sts_endpoint` run in Prowler's Python. Standard
library only.
"""

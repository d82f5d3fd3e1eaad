"""`keysweep verify`: proves by a scan that the scanner at hand runs the checks.

`command` asks and tells; `prowler` and `checkov` prove with what `proof` has for both. `inside` and
`endpoint` run in Prowler's own Python. Standard library only.
"""

"""The ledger of the reference list: every member of AWS's answers that names a customer's KMS key.

`finder` walks botocore's service models, `reading` says what the reference list reads of them, and
`accounts` compares both with `left_out.yaml`.
"""

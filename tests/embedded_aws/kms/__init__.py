"""KMS as strict as AWS: state table, windows, ARNs, paging, key policies, the end of the window."""

"""What cannot be read in accounts as they are, why, and what a person can do or decide.

`probe` tries the calls that `plan` would make, `findings` says what follows from the answers, and
`decisions` writes the exceptions to decide into a policy, commented out.
"""

"""What people and programs read: tables for a terminal, Markdown, CSV and JSON.

`tables` says what is shown; the other modules say how. Text that comes from outside (descriptions,
tags, aliases, file names) is escaped by `escape`, for each of them.
"""

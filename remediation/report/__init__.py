"""Reports for people and programs: terminal, Markdown, CSV and HTML.

`key_rows` and `view` gather the facts, `tables` and `page` arrange them, `render` and `html` print
them. Each escapes text from outside (descriptions, tags, aliases, file names) with `escape`.
"""

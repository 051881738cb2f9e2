"""The program ``racs``: what the client can do, from a terminal.

`racs.cli.main` has the table of the commands; each loads its module when it is used, so that
``racs --help`` and completion are quick. What decides is in pure modules (`times`, `text`, `wav`,
`spool`); the others ask the server, and print.

Exit codes: 0 done, 1 the server said no, 2 wrong use, 3 the server cannot be reached, 130 Ctrl-C.
"""

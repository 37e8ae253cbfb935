"""The command line: one module per family of commands; what decides how something reads is apart from what prints it.

Commands ask the running master through `lbmaster.conversation`. Pages (`page`) are made by pure `render_*` modules and
`sentences`, and are put on a terminal or into a pipe by `screen`, the only module that knows rich. Heavy libraries are
imported inside the commands, so that `lbmaster --help` and completion stay quick.
"""

#!/usr/bin/env python3
"""Print the compilation database of the test kernel: compile_commands.py COMMAND SOURCE..."""
import json
import os
import sys

command, sources = sys.argv[1], sys.argv[2:]
json.dump([{"directory": os.getcwd(), "file": source, "command": f"{command} -c {source}"}
           for source in sources], sys.stdout, indent=1)
print()

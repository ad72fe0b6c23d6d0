"""Makes a Python of 3.14 or later run a script (PEP 768): its main thread runs it as soon as it is
back in Python code. Arguments: the pid, the script's path. Exits with a code of way_in.cpp."""

import sys

if sys.version_info < (3, 14):
    sys.exit(15)
try:
    sys.remote_exec(int(sys.argv[1]), sys.argv[2])
except PermissionError:
    sys.exit(16)
except RuntimeError:
    sys.exit(17)

"""Print the requirements of the modules that this Python lacks. Each line of the file names a module and the requirement
that provides it."""

import importlib.util
import sys


def is_there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except Exception:
        # A package above it is missing or broken.
        return False


wanted = [line.split() for line in open(sys.argv[1], encoding="utf-8")]
for requirement in sorted({requirement for module, requirement in wanted if not is_there(module)}):
    print(requirement)

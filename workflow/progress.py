"""What of a notebook's output the console shows, line by line: progress.py TAG < output

Progress as the notebooks print it, and from the first sign of an exception everything.
"""

import re
import sys

PROGRESS = re.compile(
    r"epoch |sampled |saved |checked |not training|unchanged|\d{4}: |Yahoo |.*; attempt \d+ of \d+, next in "
)
FAILURE = re.compile(r".*Exception encountered|Traceback |[A-Za-z_.]+(Error|Exception):")

failed = False
for line in sys.stdin:
    failed = failed or bool(FAILURE.match(line))
    if failed or PROGRESS.match(line):
        print(f"  {sys.argv[1]}: {line}", end="", flush=True)

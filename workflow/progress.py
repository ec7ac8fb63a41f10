"""What of a notebook's output the console shows, line by line: progress.py TAG < output

Progress as the notebooks print it, and from the first sign of an exception everything, unless the stage was left out.
"""

import re
import sys

PROGRESS = re.compile(
    r"epoch |sampled |saved |checked |not training|unchanged|left out|kernel died|a short history|shorter windows"
    r"|\d{4}: |Yahoo |.*; attempt \d+ of \d+, next in "
)
FAILURE = re.compile(r".*Exception encountered|Traceback |[A-Za-z_.]+(Error|Exception):")

failed: list[str] = []  # from the first sign on
for line in sys.stdin:
    if line.startswith(("left out: ", "kernel died ")):
        failed = []
    if failed or FAILURE.match(line):
        failed.append(line)
    elif PROGRESS.match(line):
        print(f"  {sys.argv[1]}: {line}", end="", flush=True)
for line in failed:
    print(f"  {sys.argv[1]}: {line}", end="", flush=True)

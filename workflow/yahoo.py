"""Ask Yahoo for a history, again if it has been asked before: python workflow/yahoo.py DATASET START END CACHE"""

import logging
import sys
from pathlib import Path

from chaoslib.market import data

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    dataset, start, end, cache = sys.argv[1:]
    data.read_yahoo(dataset, start=start, end=end, cache=Path(cache), again=True)

"""Ask Yahoo for a history, again if it has been asked before: python workflow/yahoo.py CACHE DATASET START [END]"""

import logging
import sys
from pathlib import Path

from chaoslib.market import data

log = logging.getLogger("yahoo")

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cache, dataset, start, *end = sys.argv[1:]
    log.info("Yahoo is asked for %s from %s on", dataset, start)
    try:
        data.read_yahoo(dataset, start=start, end="".join(end), cache=Path(cache), again=True)
    except data.DataError as error:
        sys.exit(f"{dataset}: {error}")

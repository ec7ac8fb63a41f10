"""What a run asks of the machine and of its process: device, threads, where messages go."""

import logging
import os
import sys


def show_progress() -> None:
    """Send the library's log messages to the notebook."""
    logger = logging.getLogger("chaoslib")
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler(sys.stdout))


def use_one_thread() -> None:
    """Let torch, BLAS and OpenMP use one thread unless OMP_NUM_THREADS says otherwise, as the workflow does.

    More threads slow such small networks down, on a busy machine many times over; and the same number gives the same bits.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        import torch
        from threadpoolctl import threadpool_limits

        os.environ["OMP_NUM_THREADS"] = "1"  # of libraries that are loaded later
        threadpool_limits(1)
        torch.set_num_threads(1)


def device() -> str:
    """ "cuda" when there is one, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def thread_count() -> int:
    """Threads that torch uses in this process."""
    import torch

    return torch.get_num_threads()

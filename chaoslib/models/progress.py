"""What a training loop says while it runs."""

import logging
import time

log = logging.getLogger(__name__)


def log_epoch(epoch: int, epochs: int, terms: dict[str, float], *, started: float, every: int, phase: str = "") -> None:
    """Log the terms of a loss and the seconds left, every `every` epochs (from 1) and after the last.

    started : when the first epoch began, by `time.perf_counter`; phase : of a training in several, which the seconds are for
    """
    if epoch % every == 0 or epoch == epochs:
        left = (time.perf_counter() - started) / epoch * (epochs - epoch)
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in terms.items())
        head, tail = (f"{phase}: ", " in this phase") if phase else ("", "")
        log.info("epoch %d/%d  %s%s  %.0f s left%s", epoch, epochs, head, numbers, left, tail)

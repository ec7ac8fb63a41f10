"""What a training loop says: the line that the console shows, as often as it is asked for."""

import logging
import time

import pytest
import torch

from chaoslib.models import diffusion, timegan, vae
from chaoslib.models.progress import log_epoch


@pytest.mark.parametrize(("phase", "head", "tail"), [("", "", " left"), ("joint", "joint: ", " left in this phase")])
def test_a_line_has_the_losses_and_the_seconds_left(caplog, phase, head, tail):
    with caplog.at_level(logging.INFO, logger="chaoslib"):
        log_epoch(20, 50, {"loss": 0.25, "val": 1.5}, started=time.perf_counter() - 40, every=20, phase=phase)
    assert caplog.messages == [f"epoch 20/50  {head}loss 0.2500  val 1.5000  60 s{tail}"]


def test_a_line_comes_at_every_so_many_epochs_and_after_the_last(caplog):
    with caplog.at_level(logging.INFO, logger="chaoslib"):
        for epoch in range(1, 8):
            log_epoch(epoch, 7, {"loss": 1.0}, started=time.perf_counter(), every=3)
    assert [message.split()[1] for message in caplog.messages] == ["3/7", "6/7", "7/7"]


def test_every_training_loop_says_how_far_it_is(caplog):
    """The console shows the lines that begin with "epoch "."""
    x = torch.rand(40, 10, generator=torch.Generator().manual_seed(0))
    with caplog.at_level(logging.INFO, logger="chaoslib"):
        vae.fit_vae(x, x, vae.VAEShape(seq_len=10, latent_dim=2, hidden=8), epochs=2, log_every=1)
        shape = diffusion.DenoiserShape(latent_dim=10, hidden=8, blocks=1, timesteps=10)
        diffusion.fit_diffusion(lambda _: x, x, shape, epochs=2, log_every=1)
        shape = timegan.TimeGANShape(seq_len=10, hidden=3, layers=2)
        timegan.fit_timegan(x, shape, distance=lambda _: 1.0, epochs=2, log_every=1)
    assert len(caplog.messages) == 2 + 2 + 3 * 2
    assert all(message.startswith(f"epoch {k % 2 + 1}/2  ") for k, message in enumerate(caplog.messages))
    assert all(" s left" in message for message in caplog.messages)

"""Speed of training and sampling on one thread, beside the bare matrix products of the same shapes in the same run.

    python workflow/bench.py

The last column, seconds over those of the products, says how much is overhead; it holds on a noisy machine.

    python workflow/bench.py --scenarios 100000 300000 1000000

Time, on all cores, and peak memory of writing so many scenarios at a VIX of 45 to Parquet, each in a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch

from chaoslib.market.vix import VIXCondition
from chaoslib.market.windows import Scaler
from chaoslib.models import diffusion, generate, timegan, vae
from chaoslib.stress import scenarios

N, BATCH, WINDOWS = 3999, 256, 5000  # training windows of the paper, batch, windows sampled
REPEATS = 3
# Passes of each TimeGAN network in one step of the joint phase, a discriminator's step being half one: forward, gradient
# of the input, gradient of the weights.
JOINT = {
    "embedder": (1.5, 1, 1),
    "generator": (1.5, 1, 1),
    "supervisor": (3.5, 3, 2),
    "recovery": (2, 2, 1),
    "discriminator": (3.5, 3.5, 1.5),
}
AUTOENCODER = {"embedder": (1, 1, 1), "recovery": (1, 1, 1)}
SAMPLING = {"generator": (1, 0, 0), "supervisor": (1, 0, 0), "recovery": (1, 0, 0)}


def seconds(work: Callable[[], object]) -> float:
    """Shortest of a few executions: the one least disturbed by neighbours."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def products(model: torch.nn.Module, rows: int, *, backward: bool) -> Callable[[], None]:
    """The matrix products of one pass of `rows` through every linear layer of a model, and of its gradients."""
    shapes = [layer.weight.shape for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    operands = [(torch.randn(rows, i), torch.randn(i, o), torch.randn(rows, o)) for o, i in shapes]

    def work() -> None:
        for x, weight, gradient in operands:
            x @ weight
            if backward:
                x.T @ gradient
                gradient @ weight.T

    return work


def recurrent_products(
    model: timegan.TimeGAN, count: int, passes: dict[str, tuple[float, float, float]]
) -> Callable[[], None]:
    """The matrix products of so many passes of `count` windows through recurrent networks, day by day."""
    jobs = []
    for name, (forward, to_input, to_weights) in passes.items():
        for weight in (each.detach() for each in getattr(model, name).parameters() if each.dim() == 2):
            out, width = weight.shape
            x, gradient = torch.randn(width, count), torch.randn(out, count)
            days = model.shape.seq_len
            jobs += [(weight, x, round(days * forward)), (weight.t().contiguous(), gradient, round(days * to_input))]
            jobs.append((gradient, x.t().contiguous(), round(days * to_weights)))

    def work() -> None:
        for left, right, times in jobs:
            for _ in range(times):
                left @ right

    return work


def write_scenarios(n: int) -> None:
    """One line: n, seconds, and peak memory of this process, the import included."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        scenarios.to_parquet(f"{folder}/set", vix=45.0, n=n)
        took = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    rate = f"{1e6 * took / n:6.0f} s a million"
    sys.stdout.write(f"{n:>10,} scenarios {took:8.1f} s {rate}   peak {peak:6.0f} MB   {torch.get_num_threads()} threads\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--scenarios", type=int, nargs="+", help="numbers of scenarios to write, instead of the models' speed"
    )
    options = parser.parse_args()
    if options.scenarios and len(options.scenarios) == 1:
        write_scenarios(options.scenarios[0])
        return
    for n in options.scenarios or []:
        subprocess.run([sys.executable, __file__, "--scenarios", str(n)], check=True)
    if not options.scenarios:
        compare_with_products()


def compare_with_products() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x, z = torch.randn(N, 50, generator=generator), torch.randn(N, 16, generator=generator)
    autoencoder, denoiser = vae.GaussianVAE(vae.VAEShape()), diffusion.Denoiser(diffusion.DenoiserShape())
    scaler = Scaler(50, 0.0, 0.01, 3.0, 0.4)
    latent_scaler = vae.LatentScaler("post", torch.zeros(16), torch.ones(16))
    ldm = generate.LatentGenerator(autoencoder, scaler, denoiser, latent_scaler, convention="post")
    prior = generate.LatentGenerator(autoencoder, scaler)
    conditional = generate.LatentGenerator(
        vae.GaussianVAE(vae.VAEShape(cond_dim=1)), scaler, diffusion.Denoiser(diffusion.DenoiserShape(cond_dim=1)),
        latent_scaler, convention="post", condition=VIXCondition("end", 0.0, 20.0, 10.0, 80.0),
    )  # fmt: skip
    batches, chunks = -(-N // BATCH), WINDOWS // generate.CHUNK
    trained = products(autoencoder, BATCH, backward=True), products(denoiser, BATCH, backward=True)
    decoded = products(autoencoder.decoder, generate.CHUNK, backward=False)
    denoised = products(denoiser, generate.CHUNK, backward=False)

    adversarial = timegan.TimeGAN(timegan.TimeGANShape())
    gan = generate.TimeGANGenerator(adversarial)
    series = x.t()[:, None].contiguous()
    options = {"epochs": 1, "batch_size": BATCH, "lr": 1e-3, "generator": generator, "log_every": 1}
    joint = options | {"distance": lambda model: 0.0, "gamma": 1.0, "check_every": 1}
    encoded = recurrent_products(adversarial, BATCH, AUTOENCODER)
    played = recurrent_products(adversarial, BATCH, JOINT)
    draws = recurrent_products(adversarial, generate.CHUNK, SAMPLING)

    epochs = 3
    cases = {
        "VAE, one epoch": (
            lambda: vae.fit_vae(x, x[:800], vae.VAEShape(), epochs=epochs), epochs,
            lambda: [trained[0]() for _ in range(batches)],
        ),
        "diffusion, one epoch": (
            lambda: diffusion.fit_diffusion(lambda g: z, z[:800], diffusion.DenoiserShape(), epochs=epochs), epochs,
            lambda: [trained[1]() for _ in range(batches)],
        ),
        "VAE prior, 5,000 windows": (lambda: prior.sample(WINDOWS), 1, lambda: [decoded() for _ in range(chunks)]),
        "DDIM, 50 steps, 5,000 windows": (
            lambda: ldm.sample(WINDOWS, steps=50), 1,
            lambda: [denoised() for _ in range(50 * chunks)],
        ),
        "guided DDIM, 50 steps, 5,000 windows": (
            lambda: conditional.sample(WINDOWS, steps=50, vix=30.0, guidance=2.0), 1,
            lambda: [denoised() for _ in range(2 * 50 * chunks)],
        ),
        "DPM-Solver++, 25 steps, 5,000 windows": (
            lambda: ldm.sample(WINDOWS, sampler="dpm", steps=25), 1,
            lambda: [denoised() for _ in range(25 * chunks)],
        ),
        "DDPM, 50 steps, 5,000 windows": (
            lambda: ldm.sample(WINDOWS, sampler="ddpm", steps=50), 1,
            lambda: [denoised() for _ in range(50 * chunks)],
        ),
        "TimeGAN, one autoencoder epoch": (
            lambda: timegan.fit_autoencoder(adversarial, series, **options), 1,
            lambda: [encoded() for _ in range(batches)],
        ),
        "TimeGAN, one joint epoch": (
            lambda: timegan.fit_jointly(adversarial, series, **joint), 1,
            lambda: [played() for _ in range(batches)],
        ),
        "TimeGAN, 5,000 windows": (lambda: gan.sample(WINDOWS), 1, lambda: [draws() for _ in range(chunks)]),
    }  # fmt: skip
    rows = []
    for name, (work, share, bare) in cases.items():
        ours, theirs = seconds(work) / share, seconds(bare)
        rows.append({"case": name, "seconds": ours, "products": theirs, "ratio": ours / theirs})
        rate = f"{WINDOWS / ours:>10,.0f} windows/s" if "windows" in name else f"{200 * ours:>10.1f} s for 200 epochs"
        sys.stdout.write(f"{name:<38}{ours:8.3f} s{rate:>28}   bare products {theirs:7.3f} s   ratio {ours / theirs:5.2f}\n")
    sys.stdout.write(json.dumps(rows) + "\n")


if __name__ == "__main__":
    main()

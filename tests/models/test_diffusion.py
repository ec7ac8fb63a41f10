"""Diffusion: identities of the schedule and of v, parity with independent schedulers, recovery of a known law."""

import itertools

import pytest
import torch

from chaoslib.models import diffusion


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("timesteps", [10, 100, 1000])
def test_schedule_falls_from_one_to_pure_noise(timesteps):
    alpha_bar = diffusion.cosine_alpha_bar(timesteps)
    assert alpha_bar.shape == (timesteps + 1,)
    assert alpha_bar[0] == 1.0
    assert alpha_bar[-1] / (1 - alpha_bar[-1]) < 1e-4  # terminal signal-to-noise ratio
    assert bool((alpha_bar.diff() < 0).all())


def test_v_and_noised_latents_give_back_signal_and_noise():
    z, noise = torch.randn(50, 3, generator=seeded(1)), torch.randn(50, 3, generator=seeded(2))
    alpha_bar = torch.rand(50, 1, generator=seeded(3))
    noised, v = diffusion.add_noise(z, noise, alpha_bar)
    signal, spread = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    torch.testing.assert_close(signal * noised - spread * v, z, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(signal * v + spread * noised, noise, atol=1e-5, rtol=1e-5)


class GaussianOracle(torch.nn.Module):
    """The exact v for data N(mean, std^2) in each dimension: E[v | noised] in closed form."""

    def __init__(self, mean: float, std: float, timesteps: int = 200):
        super().__init__()
        self.shape = diffusion.DenoiserShape(latent_dim=2, timesteps=timesteps)
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.mean, self.std, self.alpha_bar = mean, std, diffusion.cosine_alpha_bar(timesteps)

    def embed(self, n, cond=None, present=None):
        return None

    def denoise(self, z, level, embedded):
        a = self.alpha_bar[level][:, None]
        total = a * self.std**2 + (1 - a)
        clean = self.mean + a.sqrt() * self.std**2 / total * (z - a.sqrt() * self.mean)
        noise = (1 - a).sqrt() / total * (z - a.sqrt() * self.mean)
        return a.sqrt() * noise - (1 - a).sqrt() * clean


@pytest.mark.parametrize("sampler", diffusion.SAMPLERS)
def test_with_the_exact_denoiser_samplers_recover_the_law(sampler):
    samples = diffusion.sample_latents(GaussianOracle(1.5, 0.4), 20_000, sampler=sampler, steps=200, generator=seeded())
    torch.testing.assert_close(samples.mean(dim=0), torch.full((2,), 1.5), atol=0.02, rtol=0)
    torch.testing.assert_close(samples.std(dim=0), torch.full((2,), 0.4), atol=0.02, rtol=0)


def scheduler(kind, timesteps: int):
    """A scheduler of diffusers on our schedule: its level i is our level i + 1."""
    alpha_bar = diffusion.cosine_alpha_bar(timesteps).double()
    betas = (1 - alpha_bar[1:] / alpha_bar[:-1]).tolist()
    shared = {"trained_betas": betas, "clip_sample": False, "prediction_type": "v_prediction"}
    reference = kind(num_train_timesteps=timesteps, **shared)
    reference.set_timesteps(timesteps)
    return reference


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_single_steps_agree_with_diffusers(sampler):
    from diffusers import DDIMScheduler, DDPMScheduler

    timesteps = 40
    reference = scheduler(DDIMScheduler if sampler == "ddim" else DDPMScheduler, timesteps)
    alpha_bar = diffusion.cosine_alpha_bar(timesteps)
    for level in (timesteps, 30, 11, 2, 1):
        z, v = torch.randn(64, 3, generator=seeded(level)), torch.randn(64, 3, generator=seeded(99))
        ours = diffusion.step(z, v, alpha_bar[level], alpha_bar[level - 1], sampler=sampler, generator=seeded(7))
        theirs = reference.step(v, level - 1, z, generator=seeded(7)).prev_sample
        torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=2e-3)


def distortion(sampler: str, steps: int, *, std: float) -> float:
    """Error of the standard deviation without that of sampling: the exact denoiser maps noise linearly to N(1.5, std^2)."""
    options = {"sampler": sampler, "steps": steps}
    samples = diffusion.sample_latents(GaussianOracle(1.5, std, timesteps=1000), 2, generator=seeded(), **options)
    noise = torch.randn(2, 2, generator=seeded())
    slope = (samples[1] - samples[0]) / (noise[1] - noise[0])
    torch.testing.assert_close(samples, 1.5 + slope * noise, atol=1e-4, rtol=0)  # and the mean is exact
    return slope.mean().item() - std


@pytest.mark.parametrize("std", [0.4, 1.0])
def test_the_corrected_sampler_is_as_exact_with_an_eighth_of_the_steps(std):
    corrected = abs(distortion("dpm", 25, std=std))
    assert corrected < 0.1 * abs(distortion("ddim", 25, std=std))
    assert corrected < abs(distortion("ddim", 200, std=std))


def test_halving_the_step_halves_the_error_of_ddim_and_nearly_quarters_that_of_dpm():
    errors = {name: [distortion(name, steps, std=2.5) for steps in (50, 100, 200)] for name in ("ddim", "dpm")}
    for coarse, fine in itertools.pairwise(errors["ddim"]):
        assert coarse / fine == pytest.approx(2, abs=0.1)
    for coarse, fine in itertools.pairwise(errors["dpm"]):
        assert 3 < coarse / fine < 4.5  # short of 4 by a logarithm: log SNR has no smallest step at either end


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of diffusers
@pytest.mark.parametrize("steps", [4, 5, 10, 20])
def test_the_corrected_sampler_agrees_with_diffusers(conditional, steps):
    """From the second level on, since log SNR is infinite at the first, where there is nothing to be corrected."""
    from diffusers import DPMSolverMultistepScheduler

    timesteps, cond = conditional.shape.timesteps, torch.full((64, 1), 0.7)
    alpha_bar = diffusion.cosine_alpha_bar(timesteps)
    betas = (1 - alpha_bar.double()[1:] / alpha_bar.double()[:-1]).tolist()
    options = {"prediction_type": "v_prediction", "algorithm_type": "dpmsolver++", "solver_order": 2}
    reference = DPMSolverMultistepScheduler(timesteps, trained_betas=betas, lower_order_final=False, **options)
    levels = [timesteps * left // steps for left in range(steps, 0, -1)]
    reference.set_timesteps(timesteps=[level - 1 for level in levels[1:]])
    z = torch.randn(64, 2, generator=seeded(3))
    with torch.no_grad():
        v = conditional(z, torch.tensor([timesteps]), cond)
        z = diffusion.step(z, v, alpha_bar[timesteps], alpha_bar[levels[1]], sampler="ddim", generator=seeded())
        for level in levels[1:]:
            z = reference.step(conditional(z, torch.tensor([level]), cond), level - 1, z).prev_sample
    ours = diffusion.sample_latents(conditional, 64, sampler="dpm", steps=steps, generator=seeded(3), cond=cond)
    torch.testing.assert_close(ours, z, atol=1e-4, rtol=1e-4)
    plain = diffusion.sample_latents(conditional, 64, sampler="ddim", steps=steps, generator=seeded(3), cond=cond)
    assert (plain - z).abs().max() > 0.01


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_there_is_nothing_to_correct_in_the_first_and_last_steps(conditional, steps):
    samples = [diffusion.sample_latents(conditional, 9, sampler=s, steps=steps, generator=seeded()) for s in ("ddim", "dpm")]
    torch.testing.assert_close(*samples)
    assert torch.isfinite(samples[1]).all()


def test_step_ratio_is_measured_in_log_signal_to_noise():
    levels = torch.tensor([0.5, 0.8, 0.9412])  # signal to noise of 1, 4 and 16
    assert diffusion.step_ratio(*levels).item() == pytest.approx(1, abs=1e-3)
    assert diffusion.step_ratio(*torch.tensor([0.5, 0.8, 0.8889])).item() == pytest.approx(0.5, abs=1e-3)  # 1, 4 and 8
    assert diffusion.step_ratio(*torch.tensor([0.5, 0.6667, 0.8889])).item() == pytest.approx(2, abs=1e-3)  # 1, 2 and 8


def test_training_and_sampling_recover_a_mixture_of_two_gaussians():
    centres = torch.tensor([[1.2, 0.0], [-0.8, 0.6]])

    def draw(generator):
        which = (torch.rand(2000, generator=generator) < 0.4).long()
        return centres[which] + 0.2 * torch.randn(2000, 2, generator=generator)

    target = draw(seeded(5))
    shape = diffusion.DenoiserShape(latent_dim=2, hidden=64, blocks=2, timesteps=100)
    model, history = diffusion.fit_diffusion(draw, target, shape, epochs=150, lr=2e-3, ema_decay=0.99)
    assert history["loss"].iloc[-10:].mean() < 0.7 * history["loss"].iloc[0]
    for sampler, steps in (("ddim", 100), ("ddpm", 100), ("dpm", 20)):
        samples = diffusion.sample_latents(model, 4000, sampler=sampler, steps=steps, generator=seeded(1))
        share = (samples[:, 0] < 0.2).float().mean()
        assert share.item() == pytest.approx(0.4, abs=0.06)
        torch.testing.assert_close(samples.mean(dim=0), target.mean(dim=0), atol=0.1, rtol=0)
        torch.testing.assert_close(torch.cov(samples.T), torch.cov(target.T), atol=0.1, rtol=0)
        assert samples[samples[:, 0] > 0.2].std(dim=0).max() < 0.35  # the modes are not smeared together


@pytest.fixture
def conditional() -> diffusion.Denoiser:
    torch.manual_seed(0)
    model = diffusion.Denoiser(diffusion.DenoiserShape(latent_dim=2, hidden=16, cond_dim=1, timesteps=20))
    torch.nn.init.normal_(model.outlet.weight)
    return model.eval()


@torch.no_grad()
def test_the_null_condition_is_learned_and_is_not_zero(conditional):
    z, level = torch.randn(5, 2, generator=seeded()), torch.tensor([7])
    absent = conditional(z, level, None)
    dropped = conditional(z, level, torch.randn(5, 1, generator=seeded()), torch.zeros(5, dtype=torch.bool))
    torch.testing.assert_close(absent, dropped)
    assert not torch.allclose(absent, conditional(z, level, torch.zeros(5, 1)), atol=1e-3)
    assert "null_token" in dict(conditional.named_parameters())


@torch.no_grad()
def test_guidance_is_linear_between_null_and_condition(conditional):
    z, level, cond = torch.randn(5, 2, generator=seeded()), torch.tensor([7]), torch.ones(5, 1)
    plain, null = conditional(z, level, cond), conditional(z, level, None)
    embedded = conditional.embed(5, cond), conditional.embed(5)
    torch.testing.assert_close(diffusion.guided(conditional, z, level, *embedded, 1.0), plain)
    torch.testing.assert_close(diffusion.guided(conditional, z, level, *embedded, 0.0), null)
    torch.testing.assert_close(diffusion.guided(conditional, z, level, *embedded, 3.0), null + 3 * (plain - null))


@torch.no_grad()
def test_a_condition_is_embedded_once_for_all_levels(conditional, monkeypatch):
    z, cond = torch.randn(5, 2, generator=seeded()), torch.randn(5, 1, generator=seeded(1))
    present = torch.tensor([True, False, True, False, False])
    for level in (torch.tensor([1]), torch.tensor([20]), torch.tensor([3, 7, 20, 1, 5])):
        for conditions in ((cond, None), (cond, present), (None, None)):
            embedded = conditional.embed(5, *conditions)
            torch.testing.assert_close(conditional.denoise(z, level, embedded), conditional(z, level, *conditions))
    mixed = conditional.embed(5, cond, present)
    torch.testing.assert_close(mixed[present], conditional.embed(5, cond)[present])
    torch.testing.assert_close(mixed[~present], conditional.null_token.expand(3, -1))
    calls, embed = [], diffusion.Denoiser.embed
    monkeypatch.setattr(diffusion.Denoiser, "embed", lambda *args: calls.append(1) or embed(*args))
    diffusion.sample_latents(conditional, 5, steps=20, generator=seeded(), cond=cond, guidance=2.0)
    assert len(calls) == 2  # the conditions and their absence, not once a level


def test_an_unconditional_denoiser_is_told_nothing():
    model = diffusion.Denoiser(diffusion.DenoiserShape(latent_dim=2, hidden=8, blocks=1))
    assert model.embed(5) is None


def test_condition_dropout_trains_the_null_token():
    x = torch.randn(300, 2, generator=seeded())
    shape = diffusion.DenoiserShape(latent_dim=2, hidden=16, blocks=1, cond_dim=1, timesteps=20)
    options = {"train_cond": x[:, :1], "val_cond": x[:, :1], "epochs": 3}
    token = diffusion.fit_diffusion(lambda g: x, x, shape, cond_dropout=0.0, **options)[0].null_token
    dropped = diffusion.fit_diffusion(lambda g: x, x, shape, cond_dropout=0.5, **options)[0].null_token
    torch.manual_seed(0)
    initial = diffusion.Denoiser(shape).null_token
    assert torch.equal(token, initial)
    assert not torch.equal(dropped, initial)


def test_windows_that_are_all_withheld_train_only_the_null_path():
    x = torch.randn(300, 2, generator=seeded())
    shape = diffusion.DenoiserShape(latent_dim=2, hidden=16, blocks=1, cond_dim=1, timesteps=20)
    torch.manual_seed(0)
    model = diffusion.Denoiser(shape)
    torch.nn.init.normal_(model.outlet.weight)

    def gradients(dropout: float) -> tuple[float, float]:
        model.zero_grad()
        options = {"cond": x[:, :1], "cond_dropout": dropout, "generator": seeded()}
        diffusion.diffusion_loss(model, x, diffusion.cosine_alpha_bar(20), **options).backward()
        return tuple(
            sum(0.0 if weight.grad is None else weight.grad.abs().sum().item() for weight in weights)
            for weights in (model.cond.parameters(), [model.null_token])
        )

    seen, null = gradients(1.0)
    assert seen == 0.0
    assert null > 0.0
    seen, null = gradients(0.0)
    assert seen > 0.0
    assert null == 0.0


@pytest.mark.parametrize("dropout", [0.15, 0.5])
def test_the_condition_is_withheld_as_often_as_asked(dropout):
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, z, level, cond=None, present=None):
            seen.append(present)
            return torch.zeros_like(z)

    options = {"cond": torch.zeros(20_000, 1), "cond_dropout": dropout, "generator": seeded()}
    diffusion.diffusion_loss(Spy(), torch.zeros(20_000, 2), diffusion.cosine_alpha_bar(50), **options)
    assert 1 - seen[0].float().mean().item() == pytest.approx(dropout, abs=0.01)


@torch.no_grad()
def test_each_window_hears_its_own_condition(conditional):
    z, level, cond = torch.randn(6, 2, generator=seeded()), torch.tensor([7]), torch.randn(6, 1, generator=seeded(1))
    together = conditional(z, level, cond, torch.tensor([True, False] * 3))
    for row in range(6):
        alone = conditional(z[[row]], level, cond[[row]] if row % 2 == 0 else None)
        torch.testing.assert_close(together[[row]], alone)


@torch.no_grad()
def test_average_vix_is_not_an_absent_one_after_training(toy_conditional):
    z, level = torch.randn(50, 3, generator=seeded()), torch.tensor([25])
    absent = toy_conditional.denoiser(z, level, None)
    average = toy_conditional.denoiser(z, level, torch.zeros(50, 1))
    assert (absent - average).abs().max() > 0.01


@pytest.mark.parametrize("sampler", diffusion.SAMPLERS)
def test_guidance_spans_null_and_conditional_samples(toy_conditional, sampler):
    model, cond = toy_conditional.denoiser, torch.full((30, 1), 1.2)

    def sample(cond, guidance=1.0):
        options = {"sampler": sampler, "steps": 10, "generator": seeded(3)}
        return diffusion.sample_latents(model, 30, cond=cond, guidance=guidance, **options)

    torch.testing.assert_close(sample(cond, 0.0), sample(None))
    assert torch.equal(sample(cond, 1.0), sample(cond))
    assert not torch.allclose(sample(cond, 2.0), sample(cond), atol=1e-3)
    assert not torch.allclose(sample(-cond), sample(cond), atol=1e-3)  # another VIX, the same noise


@pytest.fixture(scope="module")
def shifted() -> diffusion.Denoiser:
    """Trained on z = cond + noise of standard deviation 0.3, one window in five told nothing."""
    cond = 0.8 * torch.randn(2000, 1, generator=seeded())
    shape = diffusion.DenoiserShape(latent_dim=1, hidden=32, blocks=1, cond_dim=1, timesteps=50)

    def draw(generator):
        return cond + 0.3 * torch.randn(2000, 1, generator=generator)

    options = {"train_cond": cond, "val_cond": cond, "cond_dropout": 0.2, "epochs": 60, "lr": 3e-3, "ema_decay": 0.98}
    return diffusion.fit_diffusion(draw, draw(seeded(1)), shape, **options)[0]


def test_training_and_sampling_recover_a_conditional_law(shifted):
    for level in (-1.0, 0.0, 1.0):
        samples = diffusion.sample_latents(shifted, 3000, steps=50, generator=seeded(1), cond=torch.full((3000, 1), level))
        assert samples.mean().item() == pytest.approx(level, abs=0.12)
        assert samples.std().item() == pytest.approx(0.3, abs=0.08)
    marginal = diffusion.sample_latents(shifted, 3000, steps=50, generator=seeded(1))
    assert marginal.mean().item() == pytest.approx(0.0, abs=0.12)
    assert marginal.std().item() == pytest.approx((0.8**2 + 0.3**2) ** 0.5, rel=0.15)


def test_guidance_beyond_one_amplifies_the_condition(shifted):
    cond = torch.full((2000, 1), 1.0)
    means = [
        diffusion.sample_latents(shifted, 2000, steps=50, generator=seeded(1), cond=cond, guidance=w).mean().item()
        for w in (0.0, 0.5, 1.0, 2.0, 3.0)
    ]
    assert means == sorted(means)
    assert means[-1] > means[2] + 0.05


def test_levels_of_a_batch_cover_the_schedule_evenly():
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, z, level, cond=None, present=None):
            seen.append(level)
            return torch.zeros_like(z)

    diffusion.diffusion_loss(Spy(), torch.zeros(100, 2), diffusion.cosine_alpha_bar(50), generator=seeded())
    assert sorted(seen[0].tolist()) == sorted(2 * list(range(1, 51)))


def test_same_seed_same_samples_and_unlike_seeds_differ(toy_generator):
    draws = [diffusion.sample_latents(toy_generator.denoiser, 20, steps=5, generator=seeded(s)) for s in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_averaged_weights_lag_behind(toy_generator):
    x = torch.randn(300, 3, generator=seeded())
    shape = toy_generator.denoiser.shape
    slow, fast = (diffusion.fit_diffusion(lambda g: x, x, shape, epochs=2, lr=1e-3, ema_decay=d)[0] for d in (0.999, 0.0))
    torch.manual_seed(0)
    start = diffusion.Denoiser(shape)

    def moved(model):
        pairs = zip(model.state_dict().values(), start.state_dict().values(), strict=True)
        return sum(float((a - b).square().sum()) for a, b in pairs)

    assert moved(slow) < moved(fast)


@pytest.mark.parametrize(
    ("options", "message"), [({"sampler": "euler"}, "ddim"), ({"steps": 0}, "1..50"), ({"steps": 51}, "1..50")]
)
def test_bad_sampling_requests_say_what_is_possible(toy_generator, options, message):
    with pytest.raises(ValueError, match=message):
        diffusion.sample_latents(toy_generator.denoiser, 2, generator=seeded(), **options)


def test_a_loss_that_is_not_finite_stops_with_advice():
    bad = torch.full((300, 2), torch.nan)
    with pytest.raises(FloatingPointError, match="epoch 1: lower LR"):
        diffusion.fit_diffusion(lambda g: bad, bad, diffusion.DenoiserShape(latent_dim=2, hidden=8), epochs=1)


@pytest.mark.parametrize("sampler", diffusion.SAMPLERS)
def test_denoising_passes_through_every_level_and_ends_with_the_samples(conditional, sampler):
    options = {"sampler": sampler, "steps": 4, "cond": torch.full((30, 1), 0.7), "guidance": 2.0}
    path = list(diffusion.denoising(conditional, 30, generator=seeded(3), **options))
    assert [level for level, _ in path] == [20, 15, 10, 5, 0]
    assert torch.equal(path[0][1], torch.randn(30, 2, generator=seeded(3)))  # pure noise
    assert torch.equal(path[-1][1], diffusion.sample_latents(conditional, 30, generator=seeded(3), **options))
    assert not any(z.requires_grad for _, z in path)


@torch.no_grad()
def test_a_ddim_step_turns_latents_by_the_angle_between_two_levels(conditional):
    path = diffusion.denoising(conditional, 30, steps=4, generator=seeded(3))
    for (level, z), (following, latents) in itertools.pairwise(path):
        v, turn = conditional(z, torch.tensor([level])), torch.tensor(0.5 * torch.pi * (level - following) / 20)
        torch.testing.assert_close(latents, turn.cos() * z - turn.sin() * v, atol=1e-5, rtol=1e-4)

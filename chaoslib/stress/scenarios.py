"""Scenario sets of any size from the weights that the package ships: `scenarios.draw(vix=45)`."""

import functools
import importlib.metadata
import json
import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from pyarrow import parquet
from tqdm import tqdm

from chaoslib.market.vix import VIXLaw
from chaoslib.models import generate
from chaoslib.models.generate import LatentGenerator
from chaoslib.pipeline import arguments
from chaoslib.pipeline.files import remove_abandoned, sha256, whole_file, write

log = logging.getLogger(__name__)
ONE_AT_A_TIME = threading.Lock()  # of the threads that change torch's number of threads

WEIGHTS = Path(__file__).parent / "weights"  # of the published run, seed 0: for sampling alone, in half precision
EARLIER = "_scenarios.json"  # a sidecar that older versions wrote inside the folder, where polars took it for a shard
ELSE = "choose another folder, or delete this file and its scenarios"


def read_weights() -> dict:
    """What `weights.json` says of the shipped models: where each comes from, its hashes, and the law of the VIX."""
    return json.loads((WEIGHTS / "weights.json").read_text(encoding="utf-8"))


@functools.cache
def published(model: str = "cond_norm") -> LatentGenerator:
    """A model that the package ships: `ldm_post`, `cond_end`, `cond_start` or `cond_norm`, of the published run's seed 0.

    Raises ValueError for another name, or when the weights are not those that `weights.json` beside them describes.
    """
    known = read_weights()["models"]
    if model not in known:
        raise ValueError(f"unknown model {model!r}: the package ships {', '.join(known)}")
    for name, digest in known[model]["files"].items():
        if sha256(WEIGHTS / model / name) != digest:
            raise ValueError(f"chaoslib/stress/weights/{model}/{name} was changed: install the package again")
    return generate.load_latent(WEIGHTS / model, device="cuda" if torch.cuda.is_available() else "cpu")


def require_forecaster(generator: LatentGenerator, name: str) -> LatentGenerator:
    """The generator itself; raises ValueError unless it is told the VIX before a window, and so may say what follows."""
    if generator.vix_at != "start":
        anchor = "no VIX" if generator.condition is None else "the VIX at the window's end, which looks back on the window"
        raise ValueError(f"{name} is told {anchor}: for what follows a VIX use cond_norm or cond_start")
    return generator


def draw(vix: float, n: int = 5_000, days: int = 50, seed: int = 0, *, model: str = "cond_norm") -> np.ndarray:
    """(n, days) float32 daily log-returns, as fractions, of what may follow a close at this VIX.

    vix : close of the day before the first return, index points; see `LatentGenerator.sample` for its range
    days : up to the 50 of a window by leaving out the last; beyond, windows are chained, the VIX of each drawn from the
        one before by a fitted law (`vix.VIXLaw`): experimental, see notebook 11
    model : `cond_norm`, or `cond_start`, both told the VIX before the window
    The first n scenarios of a larger set with the same arguments are these n. Raises ValueError for a model that is told
    the VIX at the window's end, or none, and for an argument that is not what it must be.
    """
    generator = ready(vix, n=n, days=days, seed=seed, model=model)
    return np.concatenate(list(chunks(generator, vix, n=int(n), days=int(days), seed=int(seed))))


def ready(vix: float, *, n: int, days: int, seed: int, model: str) -> LatentGenerator:
    """The shipped generator, after every check of what is asked of it; raises ValueError."""
    for name, value, least in (("n", n, 1), ("days", days, 1), ("seed", seed, 0)):
        arguments.whole(name, value, least=least)
    if not isinstance(model, str):
        raise ValueError(f"model is {arguments.shown(model)}: give its name, cond_norm or cond_start")
    generator = require_forecaster(published(model), model)
    if np.ndim(vix) != 0:
        raise ValueError("vix is one number for a set of scenarios: call once for each level")
    generator.resolve_vix(vix, 1, within_reach=True)
    if days > generator.scaler.seq_len:
        log.warning("%d days are chained windows of %d: experimental, see notebook 11", days, generator.scaler.seq_len)
    return generator


def chunks(generator: LatentGenerator, vix: float, *, n: int, days: int, seed: int, first: int = 0) -> Iterator[np.ndarray]:
    """`draw` in parts of at most `generate.CHUNK`, so that any number fits in memory; `first` is a multiple of that.

    Parts are made side by side, each on one of torch's threads: with so small networks threads gain nothing inside one.
    """
    law = VIXLaw(**read_weights()["vix_law"])

    def part(start: int) -> np.ndarray:
        levels = np.full(generate.CHUNK, float(vix))
        return chain(generator, law, levels, days=days, seed=(seed, start // generate.CHUNK))[: n - start]

    starts, workers = range(first, n, generate.CHUNK), torch.get_num_threads()
    with ThreadPoolExecutor(workers, initializer=use_one_thread) as pool:
        for block in range(0, len(starts), 2 * workers):  # bounds what is made ahead of its use
            yield from pool.map(part, starts[block : block + 2 * workers])


def use_one_thread() -> None:
    """Let torch compute on one thread in the calling thread, which is new, and leave every other thread its number.

    `torch.set_num_threads` sets two numbers: that of the calling thread, and the one with which threads begin that have
    not used torch yet. A thread that lives for nothing else sets the second one back.
    """
    with ONE_AT_A_TIME:
        others = torch.get_num_threads()  # a new thread has what new threads begin with
        torch.set_num_threads(1)
        restorer = threading.Thread(target=torch.set_num_threads, args=(others,))
        restorer.start()
        restorer.join()


def chain(generator: LatentGenerator, law: VIXLaw, vix: np.ndarray, *, days: int, seed: tuple[int, ...]) -> np.ndarray:
    """(n, days) log-returns after VIX (n,): windows end to end, each from the VIX that the law draws for the last one's end.

    A VIX that is drawn outside the training windows' range is replaced by the nearest inside.
    """
    length, parts, law_seed = generator.scaler.seq_len, [], 0
    for link in range(-(-days // length)):
        if parts:
            vix_end = law.draw(parts[-1], vix, rng=np.random.default_rng(law_seed))
            vix = np.clip(vix_end, generator.condition.lowest, generator.condition.highest)
        model_seed, law_seed = np.random.SeedSequence((*seed, link)).generate_state(2)
        parts.append(generator.sample(len(vix), seed=int(model_seed), vix=vix))
    return np.concatenate(parts, axis=1)[:, :days]


def to_parquet(
    folder: Path | str,
    vix: float,
    n: int = 1_000_000,
    days: int = 50,
    seed: int = 0,
    *,
    model: str = "cond_norm",
    shard: int = 50_000,
    progress: bool = False,
) -> Path:
    """Write what `draw` gives as Parquet shards, `shard` rows each: scenario (from 0), day_1 ... day_<days>; bounded memory.

    folder : of this set alone. It holds nothing but shards, so whatever reads a folder of Parquet files reads it
    Returns the sidecar, `<folder>.json` beside the folder. It says what was asked of which weights, as the metadata of
    every shard do under `scenarios`, and names every shard with its sha256. A call that was interrupted goes on where it
    stopped when repeated, and a shard that is not the one that was written is written again; so does a set that an earlier
    version began, with its sidecar inside, which is moved.
    Raises ValueError when the folder holds another set, and when the sidecar is damaged.
    """
    if not arguments.is_whole(shard) or shard < generate.CHUNK or shard % generate.CHUNK:
        raise ValueError(f"shard is {arguments.shown(shard)}: use a multiple of {generate.CHUNK}, in whole numbers")
    folder, sidecar = places(folder)
    generator, shipped = ready(vix, n=n, days=days, seed=seed, model=model), read_weights()
    n, days, seed, shard = (int(each) for each in (n, days, seed, shard))  # numpy's integers are no JSON
    request = {"vix": float(vix), "n": n, "days": days, "seed": seed, "model": model, "shard": shard}
    chained = days > generator.scaler.seq_len
    request |= {"weights": shipped["models"][model], "vix_law": shipped["vix_law"] if chained else None}
    request |= {"extrapolated": bool(generator.condition.extrapolated(np.array([vix]))[0])}
    request |= {"experimental": chained, "unit": "daily log-returns, fractions"}
    request |= {"device": str(generator.device), "sampler": generator.sampler, "steps": generator.steps}
    request |= {name: importlib.metadata.version(name) for name in ("chaoslib", "torch", "numpy")}
    before = folder / EARLIER if (folder / EARLIER).exists() and not sidecar.exists() else sidecar
    if not before.exists() and any(folder.glob("scenarios-*.parquet")):
        raise ValueError(f"{folder} holds scenarios that no {sidecar.name} beside it describes: choose an empty folder")
    written = read_sidecar(before) if before.exists() else request | {"finished_utc": None, "files": {}}
    if other := [key for key in request if written.get(key) != request[key]]:
        raise ValueError(f"{before} describes scenarios with another {', '.join(other)}: {ELSE}")
    folder.mkdir(parents=True, exist_ok=True)
    if before.exists():
        before.replace(sidecar)
    else:
        write(sidecar, written)
    done, finished = written["files"], written["finished_utc"]
    paths = [folder / f"scenarios-{first // shard:05d}.parquet" for first in range(0, n, shard)]
    remove_abandoned([sidecar, *paths])
    for number, path in enumerate(tqdm(paths, disable=not progress, desc="writing", unit="shard")):
        if not path.exists() or done.get(path.name) != sha256(path):
            write_shard(path, generator, range(number * shard, min(n, (number + 1) * shard)), request)
            done[path.name], finished = sha256(path), None
            write(sidecar, request | {"finished_utc": None, "files": done})
    if not finished:
        write(sidecar, request | {"finished_utc": datetime.now(UTC).isoformat(timespec="seconds"), "files": done})
    return sidecar


def places(folder: Path | str) -> tuple[Path, Path]:
    """The folder of a set, and its sidecar; raises ValueError for what cannot be such a folder."""
    if not isinstance(folder, str | os.PathLike) or not str(folder):
        raise ValueError(f"folder is {arguments.shown(folder)}: give the path of a folder, which need not exist")
    folder = Path(folder)
    if folder.name in ("", ".."):  # of `.`, say
        folder = folder.resolve()
    if not folder.name or (folder.exists() and not folder.is_dir()):
        raise ValueError(f"folder is {folder}: give the path of a folder of its own, which need not exist")
    return folder, folder.with_name(f"{folder.name}.json")


def read_sidecar(path: Path) -> dict:
    """What a sidecar says; raises ValueError for a file that is none, or was cut off."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(written["files"], dict) and isinstance(written["finished_utc"], str | None):
            return written
    except (ValueError, LookupError, TypeError):  # no JSON, not in UTF-8, or JSON of something else
        pass
    raise ValueError(f"{path} was cut off or describes no scenarios: {ELSE}")


def write_shard(path: Path, generator: LatentGenerator, rows: range, request: dict) -> None:
    """One Parquet file of the scenarios whose numbers are `rows`, a row group a chunk, with the request as metadata."""
    days = [(f"day_{day}", pa.float32()) for day in range(1, request["days"] + 1)]
    schema = pa.schema([("scenario", pa.int64()), *days], metadata={"scenarios": json.dumps(request)})
    parts = chunks(generator, request["vix"], n=rows.stop, days=request["days"], seed=request["seed"], first=rows.start)
    with whole_file(path) as partial, parquet.ParquetWriter(partial, schema) as writer:
        first = rows.start
        for chunk in parts:
            columns = [np.arange(first, first + len(chunk)), *np.ascontiguousarray(chunk.T)]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            first += len(chunk)

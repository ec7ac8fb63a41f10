"""One stage of the workflow: runs its notebook through papermill, unless the run it would repeat is there.

python workflow/stage.py seed0/06_diffusion.post --key KEY --run-dir runs/paper/sp500_logret --profile paper ...

Works in the RUNS folder. `logs/<place>.json` remembers what a stage was made from and what it made: a hash of code,
params and data (the key), the digests of its inputs, and its SHA256SUMS. A stage whose inputs are what they were when it
was made, and whose files are those that it wrote, is not run again, whatever else has run before it.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from chaoslib.pipeline import artefacts, files, reruns, runs, stages

ROOT = Path(__file__).resolve().parents[1]
ATTEMPTS = 3  # to start a kernel
CHECKS = ("AssertionError", "TooFewWindows", "LeftOut")  # raised by notebooks that find no fault with the machine


def flags(options: argparse.Namespace) -> list[str]:
    """What papermill is given: the params files, then what depends on the call rather than on the profile."""
    node, params = stages.node_of(options.place), stages.merged_params(ROOT, stages.node_of(options.place), options.profile)
    arguments = [part for path in stages.params_files(ROOT, node, options.profile) for part in ("-f", str(path))]
    arguments += ["-r", "RUN_DIR", options.run_dir]
    if node == "01_data":
        arguments += ["-r", "DATASET", options.dataset, "-r", "SOURCE", options.source]
    for key, value in (given.split("=", 1) for given in options.given):
        arguments += ["-p" if isinstance(params[key], float) else "-r", key, value]
    if "SEEDS" in params:
        arguments += ["-y", f"SEEDS: {options.seeds}"]
    if "FIRST_SEED" in params:
        arguments += ["-p", "FIRST_SEED", str(options.seeds[0])]
    if stages.stage_of(node) not in stages.UNSEEDED:
        arguments += ["-p", "SEED", str(stages.seed_of(options.place))]
    return arguments


def digest(path: Path) -> str:
    """What counts of an input: all that a stage computed, or the bytes of another file."""
    return artefacts.Artefact(path.parent).digest if path.name == artefacts.SUMS else files.sha256(path)


def repeated(folder: Path, memory: Path, made_from: list[str]) -> bool:
    """Whether a folder holds what the same code made of the same inputs; its SHA256SUMS is then put back."""
    try:
        remembered = json.loads(memory.read_text(encoding="utf-8"))
        if remembered["made_from"] != made_from or remembered["meta"] != (folder / artefacts.META_SUM).read_text(
            encoding="utf-8"
        ):
            return False
        files.write(folder / artefacts.SUMS, remembered["sums"])
        artefacts.Artefact(folder).verify()
    except (
        artefacts.StaleArtefact,
        OSError,
        ValueError,
        LookupError,
    ):  # removed, changed or cut off: no result
        (folder / artefacts.SUMS).unlink(missing_ok=True)
        return False
    return True


def died_at_start(attempt: Path) -> bool:
    """Whether papermill wrote a notebook of which no cell began, as where two kernels were given one port."""
    if not attempt.exists():
        return False
    cells = json.loads(attempt.read_text(encoding="utf-8"))["cells"]
    return not any(cell.get("execution_count") or cell.get("outputs") for cell in cells)


def left_out(options: argparse.Namespace, attempt: Path, folder: Path) -> str:
    """Why a side model cannot be made, which is written to its folder in its place; empty when something else went wrong.

    What it can say is the check of its notebook that did not hold.
    """
    params = stages.merged_params(ROOT, stages.node_of(options.place), options.profile)
    if not stages.is_side(stages.node_of(options.place), params) or not attempt.exists():
        return ""
    cells = json.loads(attempt.read_text(encoding="utf-8"))["cells"]
    errors = [output for cell in cells for output in cell.get("outputs", []) if output["output_type"] == "error"]
    why = next((error["evalue"] for error in errors if error["ename"] in CHECKS), "")
    if why:
        params |= {"RUN_DIR": options.run_dir, "SEED": stages.seed_of(options.place)}
        run = runs.Run(stages.stage_of(stages.node_of(options.place)), params, ROOT)
        run.folder, base = folder, folder.absolute().parents[options.place.count("/")]
        read = [path.parent for path in options.inputs if path.name == artefacts.SUMS]
        run.inputs = {str(path.relative_to(base)): artefacts.Artefact(path).digest for path in map(Path.absolute, read)}
        run.save({artefacts.LEFT_OUT: {"why": why}})
    return why


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("place", help="folder of the stage inside the run, such as seed0/03_vae.mse")
    for name in ("key", "code", "profile", "run-dir", "dataset", "source"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--log", type=Path, required=True, help="the executed notebook")
    parser.add_argument("--given", nargs="*", default=[], metavar="KEY=VALUE", help="in place of what params files say")
    parser.add_argument("--inputs", type=Path, nargs="*", default=[], help="SHA256SUMS of the stages it reads, or files")
    options = parser.parse_args()
    folder, memory = options.log.parents[options.place.count("/") + 1] / options.place, options.log.with_suffix(".json")
    made_from = [options.key, *map(digest, options.inputs)]
    if repeated(folder, memory, made_from):
        print("unchanged: what it reads is what it was made from", flush=True)
        return 0
    attempt = options.log.with_suffix(".failed.ipynb")  # so named until it has not failed
    notebook = ROOT / "notebooks" / f"{stages.stage_of(stages.node_of(options.place))}.ipynb"
    command = [sys.executable, "-m", "papermill", notebook, attempt, *flags(options), "-k", "python3", "--cwd", ROOT]
    attempt.parent.mkdir(parents=True, exist_ok=True)
    begun, started = time.time(), time.perf_counter()
    for left in reversed(range(ATTEMPTS)):
        attempt.unlink(missing_ok=True)
        code = subprocess.run([*command, "--log-output", "--no-progress-bar"]).returncode
        if not (code and left and died_at_start(attempt)):
            break
        print("kernel died before the first cell: it is started again", flush=True)
    if code and (why := left_out(options, attempt, folder)):
        print(f"left out: {options.place}, a model beside the others, as its check failed: {why}", flush=True)
    elif code:
        print(f"Exception encountered: see {attempt}", flush=True)
        return code
    attempt.replace(options.log)
    sources = [notebook, *(ROOT / "chaoslib").rglob("*.py")]
    is_edited = any(path.stat().st_mtime > begun for path in sources)
    if is_edited and reruns.notebook_hash(notebook, ROOT / "chaoslib") != options.code:
        print(f"Exception encountered: {notebook.name} or what it reaches was edited while it ran: call again", flush=True)
        return 1
    seconds, largest = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    megabytes = largest / (2**20 if sys.platform == "darwin" else 2**10)
    cost = {"seconds": round(seconds, 2), "peak_rss_mb": round(megabytes, 1)}
    sums = {
        "meta": (folder / artefacts.META_SUM).read_text(encoding="utf-8"),
        "sums": (folder / artefacts.SUMS).read_text(encoding="utf-8"),
    }
    files.write(memory, {"made_from": made_from, **sums, **cost})
    return 0


if __name__ == "__main__":
    sys.exit(main())

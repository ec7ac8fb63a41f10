"""Gather a finished run: timings, metadata, tables and the figures of the first seed.

python workflow/publish.py runs/paper/sp500_logret figures/paper --seeds 0 1 2
"""

import argparse
import base64
import gzip
import hashlib
import io
import json
import logging
import math
import re
import shutil
from pathlib import Path

import pandas as pd
from PIL import Image
from redraw import recorded
from safetensors import safe_open
from safetensors.torch import load_file

from chaoslib import figures
from chaoslib.figures.files import SUFFIXES, export
from chaoslib.figures.record import seen
from chaoslib.pipeline import artefacts, files, settings, stages

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ("REPORT.md", "run_metadata.json", "run_metadata.md")  # written beside what is copied
FIGURE = re.compile(r"run\.figure\(f?\"([^\"]+)\"\)")  # the name under which a cell saves a figure
LINK = re.compile(r"\]\(((?:\.\./|\d\d_)[^)\s]+)\)")  # to another chapter or file of the repository
SHIPPED = {"ldm_post": "06_diffusion.post"} | {
    f"cond_{name}": f"06_diffusion.cond_{name}" for name in ("end", "start", "norm")
}


def finished_nodes(run_dir: Path, seeds: list[int]) -> dict[tuple[str, int], artefacts.Artefact]:
    """(node, seed) -> its finished folder, for every node of the plan.

    Raises MissingArtefact, or StaleArtefact, of runs, for a file that was changed after its run, or a stage that was made
    from something else than what is published beside it.
    """
    finished = {}
    for node in stages.nodes(ROOT):
        for seed in [0] if stages.stage_of(node) in stages.UNSEEDED else seeds:
            folder = run_dir / stages.place(node, seed)
            if not (folder / artefacts.SUMS).exists():
                raise artefacts.MissingArtefact(f"{folder} is not finished: run the workflow before publishing it")
            try:
                finished[node, seed] = artefacts.Artefact(folder)
                finished[node, seed].verify()
                read_cost(run_dir, stages.place(node, seed))
            except (artefacts.StaleArtefact, OSError, ValueError, LookupError) as error:
                (folder / artefacts.SUMS).unlink()  # so that the next call makes this stage anew
                raise artefacts.StaleArtefact(f"{folder} is damaged: {error}. The same call again makes it anew") from error
    digests = {stages.place(*key): artefact.digest for key, artefact in finished.items()}
    for key, artefact in finished.items():
        for name, digest in artefact.meta["inputs"].items():
            if digests.get(name) != digest:
                raise artefacts.StaleArtefact(
                    f"{stages.place(*key)} was made from another version of {name}: run the workflow"
                )
    return finished


def read_cost(run_dir: Path, place: str) -> dict:
    """Seconds and megabytes of a stage, as `stage.py` wrote them down."""
    cost = json.loads((run_dir / "logs" / f"{place}.json").read_text(encoding="utf-8"))
    return {name: cost[name] for name in ("seconds", "peak_rss_mb")}


def read_timings(run_dir: Path, finished: dict[tuple[str, int], artefacts.Artefact]) -> pd.DataFrame:
    """One row a notebook execution: wall seconds of the whole process, and peak memory of its kernel."""
    rows = []
    for (node, seed), artefact in finished.items():
        cost = read_cost(run_dir, stages.place(node, seed))
        stage, _, variant = node.partition(".")
        row = {"stage": stage, "variant": variant, "seed": seed, "seconds": cost["seconds"]}
        row |= {"peak_rss_mb": cost["peak_rss_mb"], "device": artefact.meta["device"]}
        rows.append(row | {"threads": artefact.meta["threads"]})
    return pd.DataFrame(rows)


def published_files(finished: dict[tuple[str, int], artefacts.Artefact], seed: int) -> dict[str, Path]:
    """Where each table, figure and its points of one seed comes from: what the stages name in SHA256SUMS, nothing else.

    Raises ValueError when two stages write a file of one name.
    """
    sources = {}
    for (node, number), artefact in finished.items():
        if number != seed and stages.stage_of(node) not in stages.UNSEEDED:
            continue
        for name in artefact.sums:
            if not name.startswith(("figures/", "tables/")) and not re.fullmatch(r"figdata/.*\.csv", name):
                continue
            to = f"{name}.gz" if name.startswith("figdata/") else name.removeprefix("figures/")
            if to in sources:
                raise ValueError(f"{artefact.folder / name} and {sources[to]} would both be published as {to}")
            sources[to] = artefact.folder / name
    return sources


def publish(sources: dict[str, Path], timings: pd.DataFrame, target: Path) -> None:
    """Copy tables, figures and their points, then remove those that no stage makes any more."""
    for folder in ("tables", "figdata"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        with files.whole_file(target / name) as partial:
            if name.endswith(".gz"):
                partial.write_bytes(packed(source.read_bytes()))
            else:
                shutil.copyfile(source, partial)
    files.write(target / "tables/timings.csv", timings)
    for path in [*target.glob("fig*.*"), *target.glob("tables/*"), *target.glob("figdata/*")]:
        if path.is_file() and str(path.relative_to(target)) not in {*sources, "tables/timings.csv", *REPORTS}:
            path.unlink()


def publish_left_out(finished: dict[tuple[str, int], artefacts.Artefact], target: Path) -> None:
    """Write tables/left_out.csv, which side models were left out and why; none where none was."""
    rows = [
        {"node": node, "seed": seed, "why": artefact.left_out}
        for (node, seed), artefact in finished.items()
        if artefact.left_out
    ]
    if rows:
        files.write(target / "tables/left_out.csv", pd.DataFrame(rows))


def packed(content: bytes) -> bytes:
    """Bytes in the format of gzip, the same for the same content."""
    return gzip.compress(content, mtime=0)


def draw_again(sources: dict[str, artefacts.Artefact], run_dir: Path, target: Path) -> dict[str, list[tuple[dict, dict]]]:
    """Draw published figures with the code as it is now, from what their stages computed: a drawing edited since runs none.

    Returns what a notebook shows of each, as `CaptionedFigure.outputs`.
    """
    shown = {}
    for name, artefact in sources.items():
        about = artefacts.subject(artefact.meta["params"], [run_dir])
        figure = figures.redraw(artefact.folder / "figdata" / name, about=about)
        export(figure, target / name, SUFFIXES)
        with files.whole_file(target / f"figdata/{name}.csv.gz") as partial:
            partial.write_bytes(packed(files.as_csv(seen(figure)).encode()))
        shown[name] = figure.outputs()
    return shown


def shown_place(run_dir: Path) -> str:
    """The run folder as published files name it: where it would be with the default RUNS."""
    return f"runs/{run_dir.parent.name}/{run_dir.name}"


def collect_metadata(run_dir: Path, finished: dict[tuple[str, int], artefacts.Artefact]) -> dict:
    """What was run where: the environment once, then each node's params, hashes and seconds."""
    metas = {stages.place(*key): artefact.meta for key, artefact in finished.items()}
    for place, meta in metas.items():
        meta["params"] = meta["params"] | {"RUN_DIR": shown_place(run_dir)}
        meta["params_sha256"] = hashlib.sha256(json.dumps(meta["params"], sort_keys=True).encode()).hexdigest()
        if weights := sum(map(count_weights, (run_dir / place).glob("*.safetensors"))):
            meta["weights"] = weights
    shared = ("versions", "python", "machine", "device", "threads")
    environment = {key: sorted({json.dumps(meta[key]) for meta in metas.values()}) for key in (*shared, "git")}
    return {
        "environment": {key: [json.loads(value) for value in values] for key, values in environment.items()},
        "nodes": {name: {key: meta[key] for key in meta if key not in shared} for name, meta in metas.items()},
    }


def count_weights(path: Path) -> int:
    """How many numbers a file of weights holds."""
    with safe_open(path, "np") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118, not a dict


def publish_weights(finished: dict[tuple[str, int], artefacts.Artefact], seed: int, to: Path) -> dict:
    """Write what the package ships: the models of one seed in half precision and without encoders, with their hashes.

    They sample in few steps of second order, which follow the many of first order closely. Returns what weights.json says.
    """
    shipped = {}
    for name, node in SHIPPED.items():
        source = finished[node, seed].folder
        decoders = {key: value for key, value in load_file(source / "model.safetensors").items() if "encoder" not in key}
        tensors = {key: value if key.startswith("latents.") else value.half() for key, value in decoders.items()}
        shapes = json.loads((source / "model.json").read_text(encoding="utf-8")) | {"sampler": "dpm", "steps": 25}
        (to / name).mkdir(parents=True, exist_ok=True)
        contents = {"model.json": shapes, "model.safetensors": tensors}
        for file, content in contents.items():
            files.write(to / name / file, content)
        shipped[name] = {"node": stages.place(node, seed), "source_sha256": finished[node, seed].sums["model.safetensors"]}
        shipped[name] |= {"files": {file: files.sha256(to / name / file) for file in contents}}
    law = finished["11_stress_test", 0].json("vix_law.json")
    files.write(to / "weights.json", {"models": shipped, "vix_law": law})
    return shipped


def few_colours(png: str, colours: int = 128) -> str:
    """A picture in base64 with a palette: a third of the bytes, and no difference to see."""
    small = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
        picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode() + "\n"


def executed_link(target: str, variant: str) -> str:
    """Where a link of a source notebook leads from its executed copy: to a copy, of the same variant where there is one."""
    stage, known = target.removesuffix(".ipynb"), stages.nodes(ROOT)
    if not target.endswith(".ipynb"):
        return f"../{target}"
    own = settings.parameter_cell(ROOT / "notebooks" / target).get("VARIANT", settings.Parameter(str, "")).default
    return next(f"{node}.ipynb" for node in (f"{stage}.{variant}", f"{stage}.{own}", stage) if node in known)


def with_figures(outputs: list[dict], names: list[str], shown: dict[str, list[tuple[dict, dict]]]) -> list[dict]:
    """Outputs of a cell with its pictures, and the captions after them, as they were drawn again."""
    kept, names = [], [name for name in names if name in shown]
    for output in outputs:
        text = "".join(output.get("data", {}).get("text/markdown", ""))
        if "image/png" in output.get("data", {}) and names:
            for data, metadata in shown[names.pop(0)]:
                kept.append({"output_type": "display_data", "data": data, "metadata": metadata})
        elif not any(text.startswith(f"`{name}`") for name in shown):
            kept.append(output)
    return kept


def clean_notebook(executed: str, source: str, node: str, run_dir: Path, shown: dict[str, list[tuple[dict, dict]]]) -> str:
    """A source notebook with the outputs of its execution, without papermill's clock times and this machine's run folder.

    The prose and the comments are those of the source: editing them runs nothing. Links lead to other executed copies,
    and pictures become lighter. shown : figures that were drawn again, see `draw_again`
    """
    variant = node.partition(".")[2]
    notebook, ran = json.loads(source), json.loads(executed)
    done = {cell["id"]: cell for cell in ran["cells"] if cell["cell_type"] == "code"}
    injected = [cell for cell in ran["cells"] if "injected-parameters" in cell["metadata"].get("tags", [])]
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            ran_as = done.get(cell["id"], cell)  # one of comments alone, written since, did not run
            names = [name.replace("{VARIANT}", variant) for name in FIGURE.findall("".join(cell["source"]))]
            outputs = with_figures(ran_as["outputs"], names, shown)
            cell |= {"execution_count": ran_as["execution_count"], "outputs": outputs}
        else:
            text = re.sub(LINK, lambda link: f"]({executed_link(link[1], variant)})", "".join(cell["source"]))
            cell["source"] = text.splitlines(keepends=True)
        cells += [cell, *(injected if "parameters" in cell["metadata"].get("tags", []) else [])]
    for cell in cells:
        cell["metadata"] = {key: value for key, value in cell["metadata"].items() if key == "tags"}
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            if "image/png" in data:
                data["image/png"] = few_colours(data["image/png"])
    for cell in injected:
        text = re.sub(r'RUN_DIR = ".*"', f'RUN_DIR = "{shown_place(run_dir)}"', "".join(cell["source"]))
        cell["source"] = text.splitlines(keepends=True)
    metadata = {key: value for key, value in ran["metadata"].items() if key not in ("papermill", "widgets")}
    return json.dumps(notebook | {"cells": cells, "metadata": metadata}, indent=1, ensure_ascii=False) + "\n"


def publish_notebooks(
    finished: dict[tuple[str, int], artefacts.Artefact],
    seed: int,
    run_dir: Path,
    to: Path,
    shown: dict[str, list[tuple[dict, dict]]],
) -> None:
    """Write the executed notebooks of one seed as `clean_notebook` makes them, and remove those of nodes that are gone."""
    to.mkdir(exist_ok=True)
    places = {stages.place(node, seed): node for node, _ in finished}
    for place, node in places.items():
        executed = (run_dir / "logs" / f"{place}.ipynb").read_text(encoding="utf-8")
        source = (ROOT / "notebooks" / f"{stages.stage_of(node)}.ipynb").read_text(encoding="utf-8")
        files.write(to / f"{node}.ipynb", clean_notebook(executed, source, node, run_dir, shown))
    for path in to.glob("*.ipynb"):
        if path.stem not in places.values():
            path.unlink()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=Path, help="folder of one profile and dataset")
    parser.add_argument("to", type=Path, help="where figures, tables/ and run_metadata.json go")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, help="seeds of the run; figures come from the first")
    parser.add_argument("--executed", type=Path, help="also keep the executed notebooks of the first seed here")
    parser.add_argument("--weights", type=Path, help="also write the weights that the package ships here")
    parser.add_argument("--redraw", action="store_true", help="draw all figures again with the code as it is now")
    options = parser.parse_args(arguments)
    finished = finished_nodes(options.run_dir, options.seeds)
    timings, metadata = read_timings(options.run_dir, finished), collect_metadata(options.run_dir, finished)
    sources = published_files(finished, options.seeds[0])
    publish(sources, timings, options.to)
    publish_left_out(finished, options.to)
    drawings = recorded(options.run_dir, options.seeds[0])
    shown = draw_again(drawings, options.run_dir, options.to) if options.redraw else {}
    captions = {name: artefact.json(f"figdata/{name}.json").get("caption", "") for name, artefact in drawings.items()}
    captions |= {name: outputs[-1][0]["text/plain"] for name, outputs in shown.items() if len(outputs) > 1}
    files.write(options.to / "captions.json", dict(sorted(captions.items())))
    if options.executed:
        publish_notebooks(finished, options.seeds[0], options.run_dir, options.executed, shown)
    if options.weights:
        publish_weights(finished, options.seeds[0], options.weights)
    files.write(options.to / "run_metadata.json", metadata)
    logging.info("published %d tables and figures of seed %d in %s", len(sources), options.seeds[0], options.to)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()

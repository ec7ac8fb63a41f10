"""Tables as they are printed: in words, as wide as a page, with the numbers of their CSV files."""

import json
import re
import subprocess
import sys

import floats
import numpy as np
import pandas as pd
import pytest
import report
import typeset
import yaml
from cells import span
from matplotlib import get_data_path
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

PAGE = 6.27 * 72.27  # points of TeX


def read(folder) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_csv(path) for path in folder.glob("tables/*.csv")}


@pytest.fixture(scope="module")
def published(root) -> dict[str, pd.DataFrame]:
    """All tables of the paper's run, and those of the walk-forward that the paper's run has not."""
    return read(root / "figures/walkforward") | read(root / "figures/paper")


@pytest.fixture(scope="module")
def one_seed(published) -> dict[str, pd.DataFrame]:
    """A smaller run: one seed, two levels of the VIX, and neither TimeGAN nor a VAE of stress."""
    tables = {}
    for name, rows in published.items():
        rows = rows[rows["seed"] == 0] if "seed" in rows else rows
        rows = rows[~rows["model"].isin(["timegan", "timegan_stress", "vae_stress"])] if "model" in rows else rows
        tables[name] = rows[rows["target_vix"].isin([15, 30])] if "target_vix" in rows else rows
    summary = tables["conditional_summary"]
    tables["conditional_summary"] = summary.assign(seed_sd=np.nan, ci_low=np.nan, ci_high=np.nan)
    return tables


def floats_of(tables) -> dict[str, str]:
    made = typeset.print_tables(tables)
    return {name: text for texts in made.values() for name, text in texts.items()}


@pytest.fixture(scope="module")
def texts(published) -> dict[str, str]:
    return floats_of(published)


@pytest.fixture(scope="module")
def small(one_seed) -> dict[str, str]:
    return floats_of(one_seed)


def rows_of(text: str) -> list[list[str]]:
    """Cells of the rows of a float as plain text, headings in one line; lines of groups have one cell."""
    body = re.search(r"\\toprule\n(.*)\\bottomrule", text, flags=re.DOTALL)[1]
    body = re.sub(
        r"\\begin\{tabular\}\[b\]\{@\{\}\w@\{\}\}(.*?)\\end\{tabular\}", lambda m: m[1].replace(r" \\ ", " "), body
    )
    body = re.sub(r"\\phantom\{.*?\}|\\(?:midrule|addlinespace|emph)\b|\\multicolumn\{\d+\}\{@\{\}l\}", "", body)
    for sign, plain in (("$-$", "-"), ("--", "–"), (r"\,", " "), ("~", " "), (r"\%", "%"), (r"\&", "&")):
        body = body.replace(sign, plain)
    for sign, plain in ((r"$\pm$", "±"), (r"$\leq$", "≤"), (r"$\times$", "×"), (r"$p_{\max}$", "p max")):
        body = body.replace(sign, plain)
    return [[cell.strip(" {}\n") for cell in line.split(" & ")] for line in body.split("\\\\\n") if line.strip()]


def cell(text: str, row: str, head: str, *, group: str | None = None) -> str:
    """What stands in a row, under a heading, below the line of a group."""
    rows, heads, about = rows_of(text), [], None
    first = rows[0][0]
    for cells in rows:
        if cells[0] == first:
            heads = cells
        elif len(cells) == 1:
            about = cells[0]
        elif cells[0] == row and head in heads and group in (None, about):
            return cells[heads.index(head)]
    raise AssertionError(f"no {row} under {head} in {group}")


def spread(values: pd.Series, digits: int) -> str:
    return f"{values.mean():.{digits}f} ({values.min():.{digits}f}–{values.max():.{digits}f})"


def test_every_published_table_has_a_printed_form_and_every_printed_form_a_caption(root, published, texts):
    assert {source for name in texts for source in typeset.SOURCES.get(name, [name])} == set(published)
    assert set(yaml.safe_load((root / "workflow/printed.yaml").read_text())) == set(texts)
    assert {"verdict", "headline", "forecast_gaps", "rule_breaks", "losses", "backtest_overview"} < set(texts)


@pytest.mark.parametrize("run", ["texts", "small"])
def test_a_table_is_a_whole_float_in_words(run, request):
    for name, text in request.getfixturevalue(run).items():
        lines = text.splitlines()
        assert lines[1:3] == [r"\begin{table}[htbp]", r"\centering"], name
        assert lines[-1] == r"\end{table}"
        assert rf"\label{{tab:{name}}}" in lines
        assert len(text.encode()) < 20_000
        assert text.isascii(), name
        for cells in rows_of(text):
            assert not any(r"\_" in c or "nan" in c or re.search(r"[0-9a-f]{16}", c) for c in cells), (name, cells)
            assert len(" ".join(cells)) < 200, (name, cells)


def test_rows_have_as_many_cells_as_the_tabular_has_columns(texts):
    for name, text in texts.items():
        sides = re.search(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}", text)[1]
        assert {len(cells) for cells in rows_of(text)} <= {1, len(sides)}, name
        assert text.count(r"\multicolumn") == sum(len(cells) == 1 for cells in rows_of(text)), name


def test_a_table_is_no_wider_than_a_page(texts):
    """Measured with the letters of Computer Modern."""
    font = FontProperties(fname=f"{get_data_path()}/fonts/ttf/cmr10.ttf", size=100)
    measure = TextToPath().get_text_width_height_descent

    def points(text: str) -> float:
        return measure(text.replace("–", "--").replace("±", "+").replace("≤", "+"), font, ismath=False)[0] / 100

    for name, text in texts.items():
        size, gap = re.search(r"\\(footnotesize|scriptsize)\\setlength\{\\tabcolsep\}\{(\d)pt\}", text).groups()
        rows = [cells for cells in rows_of(text) if len(cells) > 1]
        first = rows[0][0]
        columns = zip(*([c for c in cells] for cells in rows if cells[0] != first), strict=True)
        width = sum(max(map(points, column)) for column in columns) * {"footnotesize": 9.25, "scriptsize": 8.5}[size]
        assert width + 2 * int(gap) * (len(rows[0]) - 1) < PAGE, name


def test_no_table_is_higher_than_a_page(texts):
    for name, text in texts.items():
        caption = len(re.search(r"\\caption\{(.*)\}\n", text)[1])
        assert len(rows_of(text)) * 11 + caption / 85 * 13.6 < 9.69 * 72.27 - 60, name


def test_a_caption_says_where_the_numbers_are_and_over_which_seeds(texts, small):
    for name, text in texts.items():
        caption = re.search(r"\\caption\{(.*)\}\n", text)[1]
        assert "{seeds}" not in caption
        for source in typeset.SOURCES.get(name, [name]):
            assert rf"\texttt{{{source}.csv}}".replace("_", r"\_") in caption, name
        assert re.search(r"Selected from|All rows of|Made from|has every execution|also has the hash", caption), name
    assert "Means over seeds 0, 1 and 2, with the lowest and the highest in brackets" in texts["conditional"]
    assert "Seed 0." in small["conditional"]


def test_numbers_are_means_and_ranges_of_the_csv(published, texts):
    rows = published["conditional"].query("model == 'cond_ldm' and vix_at == 'start' and mode == 'matched'")
    rows = rows.query("split == 'train' and target_vix == 20")["std_ratio"]
    assert len(rows) == 3
    told = cell(texts["conditional"], "conditional latent diffusion", "VIX 20", group="told the VIX before the window")
    assert told == spread(rows, 3)
    gap = published["distances"].query("model == 'ldm_post' and reference == 'train'").set_index("metric")["distance"]
    assert cell(texts["headline"], "latent diffusion (post)", "W1 of days (sd)") == spread(gap["w1_over_std"], 3)
    assert cell(texts["distances"], "latent diffusion (post)", "distribution of drawdowns (%)") == spread(
        100 * gap["max_drawdown_w1"], 3
    )
    drawn = published["unconditional"].query("model == 'gjr_fhs' and split == 'train'").iloc[0]
    assert cell(texts["unconditional"], "GJR-FHS", "worst day (%)") == f"{100 * drawn['min']:.1f}"
    scores = published["crps"].query("model == 'cond_ldm' and split == 'test' and target == 'log_rv'")
    assert cell(texts["crps"], "conditional latent diffusion", "CRPS", group="log volatility") == spread(scores["crps"], 3)
    assert cell(texts["crps"], "conditional latent diffusion", "interval of coverage", group="log volatility") == (
        f"{100 * scores['coverage_low'].min():.0f}–{100 * scores['coverage_high'].max():.0f}"
    )
    risk = published["stress"].query("model == 'cond_ldm' and portfolio == 'leveraged_2x' and horizon_days == 50")
    assert "over 50 days when the VIX before is 30" in texts["stress"]
    assert cell(texts["stress"], "conditional latent diffusion", "ES 99 % (%)", group="2× daily") == spread(
        100 * risk[risk["target_vix"] == 30]["es_99"], 1
    )


def test_the_verdict_is_that_of_the_report(published, texts):
    for _, row in report.summary(published).iterrows():
        for head in ("outside", "classifier's AUC", "memorisation"):
            shown = report.shown(row[head], 3)
            assert cell(texts["verdict"], row["model"], head) == shown


def test_a_star_marks_what_lies_outside(published, texts):
    rows = published["scorecard"].query("reference == 'train' and model == 'ldm_post'").set_index("metric")
    outside = set(rows.index[rows["distance"] > rows["floor_p95"]])
    head = "latent diffusion (post)"
    assert {"leverage"} <= outside
    assert cell(texts["scorecard"], "leverage", head).endswith("*")
    assert cell(texts["scorecard"], "standard deviation", head) == f"{rows.loc['std_ratio', 'ratio']:.2f}" + "*" * (
        "std_ratio" in outside
    )
    assert sum(cells[-2].endswith("*") for cells in rows_of(texts["scorecard"]) if len(cells) > 1) == len(outside)


def test_the_caption_of_drift_names_the_horizon_of_the_run(published, texts):
    assert "cumulative log-returns over 50 days" in texts["drift"]
    shorter = published["stress"].replace({"horizon_days": {50: 30}})
    assert "cumulative log-returns over 30 days" in floats_of(published | {"stress": shorter})["drift"]


def test_one_seed_has_no_range(small):
    assert not small["conditional_summary"].count(r"$\pm$")
    for name in set(small) - {"forecast_gaps", "scorecard", "verdict"}:  # a label and an interval have brackets too
        for cells in rows_of(small[name]):
            assert not any(re.search(r"\d \(", c) for c in cells[1:]), (name, cells)


def test_a_smaller_run_prints_what_it_has(one_seed, small):
    assert set(small) == {name for names in typeset.CHAPTERS.values() for name in (n.__name__ for n in names)}
    assert "TimeGAN" not in small["headline"]
    assert (
        cell(small["losses"], "GJR-FHS", "VIX 30")
        == report.losses_by_vix(one_seed["stress"]).set_index("model").loc["GJR-FHS", "30"]
    )
    assert "VIX 20" not in small["losses"]


def test_a_table_without_rows_says_so_and_one_that_is_not_there_is_not_printed(published):
    empty = {name: rows.iloc[:0] for name, rows in published.items()}
    for name, text in floats_of(empty).items():
        assert "has no rows" in text, name
        assert r"\begin{tabular}" not in text
    none_selected = {"conditional": published["conditional"].query("split == 'test'")}
    assert "has no rows" in floats_of(none_selected)["conditional"]
    assert floats_of({"referees": published["referees"]}).keys() == {"referees", "forecast_gaps"}


def test_what_was_left_out_is_said_in_the_article_and_in_the_report(published, caplog):
    why = "121 of 1006 windows end at a VIX of 20 or more, 256 are needed"
    left_out = pd.DataFrame([{"node": "08_timegan.stress", "seed": 0, "why": why}])
    with caplog.at_level("WARNING"):
        typeset.print_tables(published | {"left_out": left_out})
    assert not caplog.records  # it is no table to print
    for text in (typeset.describe(published | {"left_out": left_out}), report.report(published | {"left_out": left_out})):
        assert "`08_timegan.stress`, seed 0" in text
        assert why in text
    assert "in no table" not in typeset.describe(published)
    assert "Left out" not in report.report(published)


def test_a_table_nobody_knows_is_named(caplog):
    assert floats_of({"mine": pd.DataFrame({"a": [1]})}) == {}
    assert "no printed form of mine" in caplog.text


@pytest.mark.parametrize(
    ("plain", "told"),
    [
        ("mine_yours & 5 % of #1 {x} $2 ~ ^ \\", r"mine\_yours \& 5\,\% of \#1 \{x\} \$2 \textasciitilde{} "),
        ("|r| < 0.5 > -0.1", r"\textbar{}r\textbar{} \textless{} 0.5 \textgreater{} $-$0.1"),
        ("-0.3 (-0.4 to -0.2), 2000-01-03, GJR-FHS", r"$-$0.3 ($-$0.4 to $-$0.2), 2000-01-03, GJR-FHS"),
        ("0.3–0.4 ± 0.1, 2× ≤ ∞", r"0.3--0.4 $\pm$ 0.1, 2$\times$ $\leq$ $\infty$"),
        ("in `by_year.csv`, 5 % `a-1`", r"in \texttt{by\_year.csv}, 5\,\% \texttt{a-1}"),
        ('the "model" **a**', "the ``model'' **a**"),
        ("größe 日", "größe ?"),
        ("p_max above 0.05", r"$p_{\max}$ above 0.05"),
    ],
)
def test_text_becomes_latex(plain, told):
    assert floats.tex(plain).startswith(told)


def test_what_a_dataset_is_called_cannot_break_a_table(published):
    row = published["data_summary"].assign(dataset="csv_my_index", source="mine&yours#1_100%.csv")
    text = floats_of({"data_summary": row})["data_summary"]
    assert r"mine\&yours\#1\_100\%.csv" in text
    assert cell(text, "index", "value") == "csv my index"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0.676, 0.671, 0.687], "0.68 (0.67–0.69)"),
        ([-0.01, 0.03], "0.01 (-0.01 to 0.03)"),
        ([0.501, 0.502], "0.50"),
        ([-0.001], "0.00"),
        ([np.nan, np.nan], "–"),
        ([], "–"),
        ([np.inf], "∞"),
    ],
)
def test_span(values, told):
    assert span(pd.Series(values, dtype=float)) == told


def test_wide_tables_stand_in_blocks_as_narrow_as_they_must():
    def frame(columns: int) -> pd.DataFrame:
        data = {f"heading {k}": ["0.970 (0.960–0.981)", "-0.970 (-0.981 to -0.960)"] for k in range(columns)}
        return pd.DataFrame(data, index=pd.Index(["one", "two"], name="model"))

    blocks_of = floats.blocks_of
    assert [len(blocks_of(frame(columns))[1]) for columns in (1, 3, 7)] == [1, 1, 2]
    assert [block.shape[1] for block in blocks_of(frame(7))[1]] == [4, 3]
    assert (blocks_of(frame(1))[0], blocks_of(frame(7))[0]) == ("footnotesize", "scriptsize")


def test_the_script_writes_tables_and_an_article_and_removes_what_it_makes_no_more(root, tmp_path, one_seed):
    (tmp_path / "tables").mkdir()
    for name in ("referees", "probe", "data_summary", "timings"):
        one_seed[name].to_csv(tmp_path / f"tables/{name}.csv", index=False)
    for name in ("fig04_probe", "fig03_history_mse", "fig03_history_mse_varmatch", "fig03_network_mse", "fig_mine"):
        (tmp_path / f"{name}.pdf").touch()
    (tmp_path / "tables/gone.tex").write_text("published before")
    (tmp_path / "captions.json").write_text(
        json.dumps({"fig04_probe": "The **1 %** gate, $p_1$ of `a_b`. 日?", "fig_mine": ""})
    )
    for _ in range(2):
        command = [sys.executable, root / "workflow/typeset.py", tmp_path]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    assert told.strip().endswith("floats.SIGNS: 日")
    names = ["data_summary", "forecast_gaps", "probe", "referees", "timings"]
    assert sorted(path.stem for path in tmp_path.glob("tables/*.tex")) == names
    assert len(list(tmp_path.glob("tables/*.csv"))) == 4
    paper = (tmp_path / "paper.tex").read_text()
    assert sorted(re.findall(r"\\input\{tables/(\w+)\}", paper)) == names
    assert re.findall(r"\\drawing\{(\w+)\.pdf\}", paper) == [
        *("fig03_network_mse", "fig03_history_mse", "fig03_history_mse_varmatch"),  # in the order of the notebook
        *("fig04_probe", "fig_mine"),
    ]
    assert re.findall(r"\\section\*\{(\d\d)", paper) == ["01", "03", "04", "10"]
    assert r"\caption{\csname caption:fig04_probe\endcsname}\label{fig:fig04_probe}" in paper
    assert (
        r"caption:fig04_probe\endcsname{The \textbf{1\,\%} gate, $p_1$ of \texttt{a\_b}. ??}"
        in (tmp_path / "captions.tex").read_text()
    )
    assert r"\caption{\texttt{fig03\_network\_mse}}" in paper
    assert "S\\&P 500, 2000-01-03 to 2022-12-28, with 1 training seed;" in paper

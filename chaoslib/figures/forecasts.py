"""Risk of scenarios: fans, losses against the VIX, forecasts against what happened."""

import numpy as np
from matplotlib.figure import Figure

from chaoslib.figures.style import COLOURS, LABELS, TWO_COLUMNS, canvas, styled


@styled
def walk_forward(dates: np.ndarray, gaps: dict[int, dict[str, np.ndarray]]) -> Figure:
    """Cumulated FZ0 loss less that of GJR-FHS over time: falling where a model forecasts better.

    dates : (T,) days of forecasts; gaps : horizon -> model -> (up to T,) differences, of `backtest.loss_gaps`
    """
    figure, axes = canvas(1, len(gaps), width=TWO_COLUMNS, height=2.6)
    for axis, (days, models) in zip(axes, gaps.items(), strict=True):
        axis.axhline(0, color=COLOURS["gjr_fhs"], linewidth=0.8, label=LABELS["gjr_fhs"])
        for model, gap in models.items():
            axis.plot(dates[: len(gap)], np.cumsum(gap), color=COLOURS[model], label=LABELS[model])
        axis.set_title(f"{days} day{'s' if days > 1 else ''} ahead, 1 %", loc="left")
    axes[0].set_ylabel("cumulated FZ0, less GJR-FHS")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure

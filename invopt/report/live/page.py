"""Page of a run in HTML: complete in one file."""

from __future__ import annotations

import base64
import io
from html import escape
from string import Template

import numpy as np

from invopt.report.live.glimpse import Glimpse

__all__ = ["fragment", "page"]

# Inches of the curve and of a picture's side, and dots per inch.
_CURVE, _SIDE, _DOTS = 3.2, 2.2, 100
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">$refresh
<title>$title</title>
<style>
body { font-family: sans-serif; margin: 2em; }
table { border-collapse: collapse; }
th, td { padding: 0.2em 0.8em; border-bottom: 1px solid #ccc; text-align: right; }
th:first-child, td:first-child { text-align: left; }
</style>
</head>
<body>
$content
</body>
</html>
""")


def page(glimpse: Glimpse, *, refresh: float | None = None) -> str:
    """Return a page that needs no other file.

    Parameters
    ----------
    glimpse : Glimpse
        What is shown.
    refresh : float, optional
        Seconds after which a browser reads the page again; by default never.
    """
    again = "" if refresh is None else f'\n<meta http-equiv="refresh" content="{max(refresh, 1):.0f}">'
    return _PAGE.substitute(refresh=again, title=escape(glimpse.title), content=fragment(glimpse))


def fragment(glimpse: Glimpse) -> str:
    """Return title, curve, pictures and table, for a page or a notebook."""
    rows = [*glimpse.rows, *((name, "", text) for name, text in glimpse.facts.items())]
    cells = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return (
        f"<h2>{escape(glimpse.title)}</h2>\n"
        f'<p><img alt="curve and pictures" src="data:image/png;base64,{_drawn(glimpse)}"></p>\n'
        f"<table>\n<tr><th></th><th>start</th><th>now</th></tr>\n{cells}</table>\n"
    )


def _drawn(glimpse: Glimpse) -> str:
    """Curve and pictures side by side, as a PNG file in base 64."""
    # Matplotlib takes a second to import.
    from matplotlib.figure import Figure

    widths = [_CURVE, *(_SIDE for _ in glimpse.pictures)]
    figure = Figure(figsize=(sum(widths), _SIDE), layout="constrained")
    curve, *others = np.atleast_1d(figure.subplots(1, len(widths), width_ratios=widths))
    curve.plot(glimpse.nfev, glimpse.fun, ".-")
    if np.all(glimpse.fun[np.isfinite(glimpse.fun)] > 0):
        curve.set_yscale("log")
    curve.set(xlabel="evaluations", ylabel="value")
    for ax, (name, picture) in zip(others, glimpse.pictures.items(), strict=True):
        ax.imshow(picture)
        ax.set_title(name)
        ax.axis("off")
    file = io.BytesIO()
    figure.savefig(file, dpi=_DOTS, format="png")
    return base64.b64encode(file.getvalue()).decode()

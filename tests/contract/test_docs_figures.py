"""Figures in the documentation, against the measurements in bench/results that they name.

In a text a comment behind the figure names the file, the path in it and a divisor: `0.31<!--sidecar:figures.…/1000-->`.
Above a table one comment names the file, the rows, and for each column the figures of a row. A figure must be what was
measured, rounded to the digits that it is written with.
"""

import json
import re
from decimal import ROUND_HALF_UP, Decimal

import pytest
from support import pages

INLINE = re.compile(r"(\d[\d,]*(?:\.\d+)?)<!--(\w+):([^\s>]+)-->")
TABLE = re.compile(r"<!-- table from bench/results/(\w+)\.json\nrows: (.*)\ncells: (.*)\n-->\n((?:\|.*\n)+)")
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")


def at(found, path):
    """Return what stands at a path; names in the files have dots of their own, so the longest that fits is meant."""
    if not path:
        return found
    if isinstance(found, list):
        index, _, rest = path.partition(".")
        return at(found[int(index)], rest)
    name = next(name for name in sorted(found, key=len, reverse=True) if f"{path}.".startswith(f"{name}."))
    return at(found[name], path[len(name) + 1 :])


def measured(file, expression):
    """Return what a file of results says at a path, divided as the expression says; of a spread its median."""
    path, _, divisor = expression.partition("/")
    found = at(json.loads((pages.ROOT / f"bench/results/{file}.json").read_text(), parse_float=Decimal), path)
    return Decimal(found["median"] if isinstance(found, dict) else found) / Decimal(divisor or 1)


def as_written(value, written):
    """Return a value with as many digits as a figure was written with."""
    digits = written.replace(",", "")
    whole, _, decimals = digits.partition(".")
    rounded = value.quantize(Decimal(1).scaleb(-len(decimals)) if decimals else Decimal(1), ROUND_HALF_UP)
    if decimals or not (zeros := len(whole) - len(whole.rstrip("0"))):
        return f"{rounded:,}"
    coarse = value.quantize(Decimal(1).scaleb(zeros), ROUND_HALF_UP)
    return f"{int(coarse):,}"


INLINES = [(page, *found) for page in pages.PAGES for found in INLINE.findall(page.read_text())]
TABLES = [(page, *found) for page in pages.PAGES for found in TABLE.findall(page.read_text())]


@pytest.mark.parametrize(
    ("page", "written", "file", "path"), INLINES, ids=[f"{pages.name(p)}-{f}-{path}" for p, _, f, path in INLINES]
)
def test_a_figure_in_a_text_is_what_was_measured(page, written, file, path):
    assert as_written(measured(file, path), written) == written, pages.name(page)


@pytest.mark.parametrize(("page", "file", "rows", "cells", "table"), TABLES, ids=[pages.name(t[0]) for t in TABLES])
def test_the_figures_in_a_table_are_what_was_measured(page, file, rows, cells, table):
    lines = table.splitlines()[2:]
    assert len(lines) == len(rows.split(", ")), pages.name(page)
    for row, line in zip(rows.split(", "), lines, strict=True):
        columns = [cell.strip() for cell in line.strip("|").split("|")][1:]
        for column, expressions in zip(columns, cells.split(" | "), strict=True):
            written = NUMBER.findall(column)
            wanted = [measured(file, f"figures.{row}.{path}") for path in expressions.split(", ")]
            assert [as_written(value, text) for value, text in zip(wanted, written, strict=True)] == written, line


def test_the_readme_s_table_of_costs_is_checked():
    assert [pages.name(page) for page, *_ in TABLES] == ["README.md"]


def test_a_figure_that_was_measured_otherwise_is_found():
    assert as_written(measured("sidecar", "figures.ours.json_1.added_p50_us/1000"), "0.99") != "0.99"

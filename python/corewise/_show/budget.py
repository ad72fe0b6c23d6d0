"""The budget: the CPUs as a picture, and what bounds them as a table."""

from __future__ import annotations

from .._budget import Budget, Constraint
from .html import page, paragraph, table
from .pictures import budget_cells, budget_words
from .text import counted, text_table

_LEGEND = "this setting limits you: without it you might use more CPUs"


def text(budget: Budget) -> str:
    rows = [["*" if c.binding else "", *_cells(c)] for c in budget.constraints]
    lines = text_table(["", "Source", "CPUs", "Where"], rows, right=(2,))
    return "\n".join([_headline(budget), lines, f"* {_LEGEND}", *budget.findings])


def html(budget: Budget) -> str:
    rows = [[*_cells(c), "yes" if c.binding else ""] for c in budget.constraints]
    return page(
        budget_cells(budget),
        paragraph(budget_words(budget) + "."),
        table(_headline(budget), ["Source", "CPUs", "Where", "Limits you"], rows, right=(1,)),
        *map(paragraph, budget.findings),
    )


def _headline(budget: Budget) -> str:
    have = "has a CPU of its own" if budget.floor == 1 else "have a CPU each"
    if budget.cpus < 1:
        have = "has a CPU part of the time"
    return (
        f"Budget: {counted(budget.cpus, 'CPU')} (floor: {counted(budget.floor, 'thread')} {have}; "
        f"ceil: {counted(budget.ceil, 'thread')} {'uses' if budget.ceil == 1 else 'use'} it up)"
    )


def _cells(constraint: Constraint) -> list[str]:
    detail = f": {constraint.detail}" if constraint.detail else ""
    return [constraint.source, f"{constraint.cpus:.4g}", constraint.where + detail]

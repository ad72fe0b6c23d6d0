"""A plan: nested boxes, why each level has its number, and what each pool gets."""

from __future__ import annotations

from .._plan import Plan
from .html import page, paragraph, table
from .pictures import plan_boxes, plan_words
from .text import counted, text_table

_LEVEL_HEADS = ("Level", "Count", "Why")
_LIMIT_HEADS = ("API", "Limit", "Why", "Pool")


def text(plan: Plan) -> str:
    parts = [_headline(plan), text_table(_LEVEL_HEADS, _level_rows(plan), right=(1,))]
    if plan.limits:
        parts.append(text_table(_LIMIT_HEADS, _limit_rows(plan), right=(1,)))
    return "\n\n".join(parts)


def html(plan: Plan) -> str:
    parts = [
        plan_boxes(plan),
        paragraph(plan_words(plan) + "."),
        table(_headline(plan), _LEVEL_HEADS, _level_rows(plan), right=(1,)),
    ]
    if plan.limits:
        parts.append(table("Limits of the pools", _LIMIT_HEADS, _limit_rows(plan), right=(1,)))
    return page(*parts)


_TIMES = " \N{MULTIPLICATION SIGN} "


def _headline(plan: Plan) -> str:
    levels = (plan.processes, plan.openmp, plan.blas)
    product = f"{_TIMES.join(map(str, levels))} = {counted(plan.threads, 'thread')}"
    left = f", {plan.unused} left over" if plan.unused else ""
    return f"Plan for {counted(plan.cpus, 'CPU')}: {product}{left}"


def _level_rows(plan: Plan) -> list[list[str]]:
    return [[level.level, str(level.count), level.reason] for level in plan.levels]


def _limit_rows(plan: Plan) -> list[list[str]]:
    return [[limit.api, str(limit.threads), limit.reason, limit.pool] for limit in plan.limits]

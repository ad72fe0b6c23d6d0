"""What a person cannot read on a page, and pages as pictures.

A suite that has a screen takes its picture in light, in dark and in a narrow window, and each time
asserts that `faults` finds none.
"""

from __future__ import annotations

import io

import chromium
from playwright.sync_api import Locator, Page
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, MONOKAI
from rich.text import Text

WIDE = (1100, 900)
NARROW = (480, 800)

# Contrast is WCAG 2.1's (1.4.3); text that is drawn in a picture has the picture's own colours.
_FAULTS = """part => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const alpha = (colour) => { const all = parts(colour); return all.length > 3 ? all[3] : 1; };
  const light = (colour) => colour.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const above = (colour, under) => {
    const share = alpha(colour);
    return parts(colour).slice(0, 3).map((c, i) => c * share + under[i] * (1 - share));
  };
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const colour = getComputedStyle(element).backgroundColor;
    return alpha(colour) === 1 ? parts(colour) : above(colour, behind(element.parentElement));
  };
  const contrast = (element) => {
    const under = behind(element);
    const [a, b] = [light(above(getComputedStyle(element).color, under)), light(under)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const isLarge = (style) => {
    const size = parseFloat(style.fontSize);
    return size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  };
  // Whether text that stands there can be brought into sight, or is seen to be shortened.
  const hiddenBy = (element, box) => {
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (/auto|scroll/.test(style.overflowX) || style.textOverflow === 'ellipsis') return null;
      const frame = at.getBoundingClientRect();
      if (/hidden|clip/.test(style.overflowX) &&
          (box.right > frame.right + 1 || box.left < frame.left - 1)) return at;
    }
    return box.right > innerWidth + 1 ? document.documentElement : null;
  };
  const found = [];
  const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const element = node.parentElement;
    if (!node.data.trim() || element.closest('svg, style, script, title, :disabled')) continue;
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter((box) => box.width > 1 && box.height > 1);
    if (!boxes.length) continue;
    const said = JSON.stringify(node.data.trim().slice(0, 60));
    const ratio = contrast(element);
    if (ratio < (isLarge(getComputedStyle(element)) ? 3 : 4.5)) {
      found.push(`${said}: contrast ${ratio.toFixed(2)}`);
    }
    const edge = boxes.map((box) => hiddenBy(element, box)).find(Boolean);
    if (edge) found.push(`${said}: cut off by ${edge.tagName}.${edge.className}`);
  }
  return found;
}"""


def faults(part: Locator) -> list[str]:
    """The texts of this part that are too pale, or cut off, as they are shown now."""
    found = part.evaluate_all(f"parts => parts.flatMap({_FAULTS})")
    return list(dict.fromkeys(found))


def picture(page: Page, name: str) -> None:
    """Kept as build/screenshots/NAME.png."""
    chromium.SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=chromium.SCREENSHOTS / f"{name}.png")


def show_terminal(page: Page, screen: str, columns: int, *, dark: bool) -> None:
    """Shows a screen of text with its colours, as a terminal of these columns does."""
    console = Console(record=True, width=columns, file=io.StringIO())
    for line in screen.splitlines():
        console.print(Text.from_ansi(line), soft_wrap=True)
    theme = MONOKAI if dark else DEFAULT_TERMINAL_THEME
    page.set_content(console.export_html(theme=theme, inline_styles=True))

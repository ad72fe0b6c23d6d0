"""Counts the lines of code by folder at each of some commits: python tools/count_lines.py REV ...

Blank lines and lines of nothing but comment do not count. A folder that a commit does not have is
empty there, so that a table of two commits shows what moved.
"""

import re
import subprocess
import sys
from collections import Counter

KINDS = (".c", ".cpp", ".h", ".hpp", ".py", ".js", ".css")
COMMENT = re.compile(r"^\s*(//|/\*|\*|#(?!\s*(include|define|if|el|endif|pragma|undef|error))|$)")


def git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def lines_by_folder(revision: str) -> Counter[str]:
    lines: Counter[str] = Counter()
    for name in git("ls-tree", "-r", "--name-only", revision).splitlines():
        if name.endswith(KINDS):
            text = git("show", f"{revision}:{name}")
            parts = name.split("/")
            depth = 3 if name.startswith("src/govern/") and len(parts) > 3 else 2
            folder = "/".join(parts[: min(depth, len(parts) - 1)]) or "."
            lines[folder] += sum(not COMMENT.match(line) for line in text.splitlines())
    return lines


def main() -> None:
    revisions = sys.argv[1:] or ["HEAD"]
    counts = [lines_by_folder(revision) for revision in revisions]
    folders = sorted(set().union(*counts))
    tops = sorted({folder.split("/")[0] for folder in folders})
    print("| Folder | " + " | ".join(revisions) + " |")
    print("|---|" + "---:|" * len(revisions))
    for top in tops:
        inside = [folder for folder in folders if folder.split("/")[0] == top]
        sums = [sum(count[folder] for folder in inside) for count in counts]
        print(f"| **{top}** | " + " | ".join(f"**{number}**" for number in sums) + " |")
        for folder in inside if len(inside) > 1 else ():
            print(f"| {folder} | " + " | ".join(str(count[folder]) for count in counts) + " |")


if __name__ == "__main__":
    main()

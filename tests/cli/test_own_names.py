"""What a program calls stays what it was: its own functions, and those of libraries it preloads,
where they have the names of functions that corewise replaces."""

import subprocess
from pathlib import Path

import pytest
from conftest import CLEAN

OPENER = """
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char** words) {
  void* plugin = dlopen(words[1], RTLD_DEEPBIND | (count > 2 ? RTLD_LAZY : RTLD_NOW));
  int (*tell)(void) = (int (*)(void))dlsym(plugin, "tell");
  puts("begin");
  return tell();
}
"""
# As tools do that watch which programs are started.
WRAPPER = "#include <stdio.h>\n" + "".join(
    f'int {name}(const char* path) {{ puts("{name} of the tool"); return 7; }}\n'
    for name in ("execv", "execl", "execvp", "setuid", "unshare")
)
CALLER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
  char* words[] = {"true", NULL};
  int sum = execv("/bin/true", words) + execl("/bin/true", "true", (char*)NULL) +
            execvp("true", words) + setuid(0) + unshare(0);
  return printf("%d\\n", sum) < 0;
}
"""


def built(folder: Path, name: str, source: str, *options: str) -> Path:
    file = folder / f"{name}.c"
    file.write_text(source)
    made = folder / name
    subprocess.run(["gcc", "-w", "-fno-builtin", file, *options, "-o", made], check=True)
    return made


@pytest.mark.parametrize("binding", ["now", "lazy"])
def test_a_plugin_reaches_its_own_functions(corewise, tmp_path, binding):
    source = Path(__file__).with_name("own_names.c").read_text()
    plugin = built(tmp_path, "plugin", source, "-shared", "-fPIC")
    opener = built(tmp_path, "opener", OPENER)
    words = [opener, plugin, *["lazy"] * (binding == "lazy")]
    done = corewise("run", "-q", "--", *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "begin\n", "")


def test_calls_reach_the_function_that_a_preloaded_tool_has(corewise, tmp_path):
    tool = built(tmp_path, "tool", WRAPPER, "-shared", "-fPIC")
    caller = built(tmp_path, "caller", CALLER)
    words = ["sh", "-c", f"LD_PRELOAD=$LD_PRELOAD:{tool} exec {caller}"]
    plain = subprocess.run(words, env=CLEAN, capture_output=True, text=True)
    done = corewise("run", "-q", "--", *words)
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
    assert plain.stdout.endswith("35\n")

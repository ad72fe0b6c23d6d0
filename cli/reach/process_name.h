// What a person calls a process: its notebook or script, not the interpreter that runs it.
#pragma once

#include <string>
#include <vector>

namespace corewise::cli {

// "train.py 12", "-m pytest -q", "fit.ipynb"; the command line where nothing better is known.
// `session`: JPY_SESSION_NAME of its environment, the path of the notebook that began it, or "".
std::string name_for(const std::vector<std::string>& words, const std::string& session);

// The name of a running process, as far as we may read its files.
std::string name_of_process(int pid);

}  // namespace corewise::cli

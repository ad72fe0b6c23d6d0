// Options that take one of a few words.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace corewise::cli {

// Refuses any other word: "wants bash, zsh or fish, not 'tcsh'".
CLI::Validator one_of(std::vector<std::string> words);

}  // namespace corewise::cli

// Options that take one of a few words, or a whole number.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace corewise::cli {

// Refuses any other word: "takes bash, zsh or fish, not 'tcsh'".
CLI::Validator one_of(std::vector<std::string> words);

// Refuses anything else: "takes a whole number from 1 to 100, not '0'".
CLI::Validator whole_number(std::uint64_t least, std::uint64_t most);

}  // namespace corewise::cli

// What the words of a build command say about its jobs, and what MAKEFLAGS says: pure text.
//
// make and ninja that are given -j on their command line do not look for a jobserver, so corewise
// takes the option out and keeps its number as the most jobs. cargo would warn.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corewise::cli::jobs {

enum class Tool { kMake, kNinja, kCargo };

inline constexpr int kNoMost = 1 << 20;

struct Build {
  Tool tool = Tool::kMake;
  std::vector<std::string> words;  // the command without its -j
  int most = kNoMost;              // jobs that its user allows
};

// The build that this command is, if it runs several jobs at a time: `make -j`, also with the -j in
// MAKEFLAGS, `ninja`, and cargo's commands that compile. Nothing for a command whose -j is 1 or is
// not a number.
std::optional<Build> read_build(const std::vector<std::string>& words, std::string_view makeflags);

// Whether MAKEFLAGS, or cargo's own variable, names a jobserver; also one that is out of reach.
bool names_jobserver(std::string_view makeflags);

// MAKEFLAGS with a jobserver: `auth` is what follows --jobserver-auth=.
std::string with_jobserver(std::string_view makeflags, std::string_view auth, int jobs);

// How a tool reaches a jobserver.
enum class Form {
  // --jobserver-auth=R,W: inherited. R and W are ends of two pipes, so that a returned token comes
  // to us first, and we can give it to other programs.
  kDescriptors,
  // --jobserver-auth=fifo:PATH. It reaches every process, but a client that has a next job reads
  // the token that it has just returned before we can.
  kFifo,
};

// The first line that a program prints as its version; empty where there is none.
struct Versions {
  std::string make;   // the one that a build finds in PATH, or the command itself
  std::string ninja;  // the command itself
};

// The form that the command can use and that stops no make which it starts. If there is none,
// `why_not` says why.
std::optional<Form> choose_form(std::optional<Tool> tool, const Versions& versions,
                                std::string& why_not);

}  // namespace corewise::cli::jobs

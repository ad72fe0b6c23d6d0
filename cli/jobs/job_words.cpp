#include "job_words.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.h"

namespace corewise::cli::jobs {
namespace {

constexpr std::string_view kAuth = "--jobserver-auth=";
constexpr std::string_view kOldAuth = "--jobserver-fds=";

struct Grammar {
  Tool tool;
  std::string_view with_value;   // letters of options that take the rest or the next word
  std::string_view with_number;  // those that take the next word only if it is a number
  std::string_view with_rest;    // those that take only the rest of their word
  std::string_view gives_up;     // options with which it is no build
};

constexpr Grammar kMake = {Tool::kMake, "CfIoWE", "jl", "O", ""};
constexpr Grammar kNinja = {Tool::kNinja, "dfjklwC", "", "", "nt"};
constexpr Grammar kCargo = {Tool::kCargo, "jpFZC", "", "", ""};

bool is_number(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

// What a command says about its jobs.
struct Asked {
  bool given = false;  // -j, with or without a number
  bool odd = false;    // the tool will say what is wrong with it, or it is no build
  int most = kNoMost;

  void take(std::string_view number) {
    given = true;
    const auto count = parse_integer(number);
    if (number.empty()) return;
    odd = odd || !is_number(number) || !count || *count < 1;
    if (!odd) most = static_cast<int>(std::min<std::int64_t>(*count, kNoMost));
  }
};

class Reader {
 public:
  Reader(const Grammar& grammar, const std::vector<std::string>& words)
      : grammar_(grammar), words_(words) {}

  Asked read(std::vector<std::string>& kept) {
    while (at_ < words_.size()) {
      const std::string& word = words_[at_++];
      if (word == "--" || begins_the_programs(word)) {
        kept.push_back(word);
        kept.insert(kept.end(), words_.begin() + static_cast<std::ptrdiff_t>(at_), words_.end());
        break;
      }
      if (word == "--jobs" || word.starts_with("--jobs=")) {
        asked_.take(word == "--jobs" ? next_number() : std::string_view(word).substr(7));
      } else if (word.size() > 1 && word[0] == '-' && word[1] != '-') {
        read_letters(word, kept);
      } else {
        kept.push_back(word);
      }
    }
    return asked_;
  }

 private:
  // cargo run gives its program all words from the first that is no option on, also without "--".
  // An option of cargo's that takes a value looks the same; then a -j behind it is left alone too.
  bool begins_the_programs(const std::string& word) {
    if (grammar_.tool != Tool::kCargo || word.starts_with('-') || word.starts_with('+'))
      return false;
    constexpr std::array<std::string_view, 4> kRun = {"run", "r", "rustc", "rustdoc"};
    if (!runs_ && !command_) {
      command_ = true;
      runs_ = std::ranges::find(kRun, word) != kRun.end();
      return false;
    }
    return runs_;
  }

  bool needs_number() const { return grammar_.with_number.find('j') == std::string_view::npos; }

  // The next word, if it belongs to -j.
  std::string_view next_number() {
    if (at_ < words_.size() && (is_number(words_[at_]) || needs_number())) return words_[at_++];
    if (needs_number()) asked_.odd = true;
    return {};
  }

  // "-kj4": the letters without the j and its number.
  void read_letters(const std::string& word, std::vector<std::string>& kept) {
    std::string left = "-";
    std::optional<std::string> value;
    for (std::size_t i = 1; i < word.size(); ++i) {
      const char letter = word[i];
      const std::string_view rest = std::string_view(word).substr(i + 1);
      const auto takes = [letter](std::string_view letters) {
        return letters.find(letter) != std::string_view::npos;
      };
      if (takes(grammar_.gives_up)) asked_.odd = true;
      if (letter == 'j') {
        asked_.take(rest.empty() ? next_number()
                                 : rest.substr(grammar_.tool == Tool::kCargo && rest[0] == '='));
        break;
      }
      left += letter;
      if (takes(grammar_.with_rest) || takes(grammar_.with_value) || takes(grammar_.with_number)) {
        left += rest;
        if (rest.empty() && takes(grammar_.with_value) && at_ < words_.size()) {
          value = words_[at_++];
        }
        break;
      }
    }
    if (left != "-") kept.push_back(left);
    if (value) kept.push_back(*value);
  }

  const Grammar& grammar_;
  const std::vector<std::string>& words_;
  std::size_t at_ = 1;
  bool command_ = false;  // cargo's was read
  bool runs_ = false;     // it runs a program, or gives another its words
  Asked asked_;
};

// -j among make's options in the environment.
Asked asked_by(std::string_view makeflags) {
  Asked asked;
  while (!makeflags.empty()) {
    const std::string_view word = cut(makeflags, ' ');
    if (word == "--") break;
    if (word == "-j" || word == "--jobs") {
      std::string_view rest = makeflags;
      const std::string_view next = cut(rest, ' ');
      asked.take(is_number(next) ? next : std::string_view());
    } else if (word.starts_with("-j")) {
      asked.take(word.substr(2));
    } else if (word.starts_with("--jobs=")) {
      asked.take(word.substr(7));
    }
  }
  return asked;
}

bool compiles(const std::vector<std::string>& words) {
  constexpr std::array<std::string_view, 17> kCompile = {
      "build", "b",       "check", "c", "test",   "t",   "bench",   "run",    "r",
      "rustc", "rustdoc", "doc",   "d", "clippy", "fix", "install", "package"};
  const auto command = std::find_if(words.begin() + 1, words.end(), [](const std::string& word) {
    return !word.starts_with('-') && !word.starts_with('+');
  });
  return command != words.end() && std::ranges::find(kCompile, *command) != kCompile.end();
}

const Grammar* grammar_of(std::string_view program) {
  if (program == "make" || program == "gmake") return &kMake;
  if (program == "ninja" || program == "ninja-build") return &kNinja;
  if (program == "cargo") return &kCargo;
  return nullptr;
}

struct Version {
  int major = 0;
  int minor = 0;
  auto operator<=>(const Version&) const = default;
};

std::optional<Version> version_in(std::string_view text) {
  const auto major = parse_integer(cut(text, '.'));
  std::size_t digits = 0;
  while (digits < text.size() && is_number(text.substr(digits, 1))) ++digits;
  const auto minor = parse_integer(text.substr(0, digits));
  if (!major || !minor || *major < 0 || *major > 9999 || *minor > 9999) return std::nullopt;
  return Version{static_cast<int>(*major), static_cast<int>(*minor)};
}

// Nothing for another make.
std::optional<Version> make_version(std::string_view line) {
  constexpr std::string_view kName = "GNU Make ";
  if (!line.starts_with(kName)) return std::nullopt;
  return version_in(line.substr(kName.size()));
}

constexpr Version kMakeReadsDescriptors = {4, 2};
constexpr Version kMakeReadsFifos = {4, 4};
constexpr Version kNinjaReadsFifos = {1, 13};

}  // namespace

std::optional<Build> read_build(const std::vector<std::string>& words, std::string_view makeflags) {
  const Grammar* grammar = words.empty() ? nullptr : grammar_of(file_name(words.front()));
  if (grammar == nullptr) return std::nullopt;
  if (grammar->tool == Tool::kCargo && !compiles(words)) return std::nullopt;
  Build build;
  build.tool = grammar->tool;
  build.words = {words.front()};
  Asked asked = Reader(*grammar, words).read(build.words);
  if (!asked.given && grammar->tool == Tool::kMake) asked = asked_by(makeflags);
  if (asked.odd || asked.most == 1) return std::nullopt;
  if (!asked.given && grammar->tool == Tool::kMake) return std::nullopt;
  build.most = asked.most;
  return build;
}

bool names_jobserver(std::string_view makeflags) {
  return makeflags.find(kAuth) != std::string_view::npos ||
         makeflags.find(kOldAuth) != std::string_view::npos;
}

std::string with_jobserver(std::string_view makeflags, std::string_view auth, int jobs) {
  // Variables that were set on make's command line follow "--".
  constexpr std::string_view kVariables = "-- ";
  std::size_t end = makeflags.starts_with(kVariables) ? 0 : makeflags.find(" -- ");
  end = std::min(end, makeflags.size());
  std::string flags(makeflags.substr(0, end));
  flags += " -j" + std::to_string(jobs) + " " + std::string(kAuth) + std::string(auth);
  if (end < makeflags.size()) {
    flags += (makeflags[end] == ' ' ? "" : " ") + std::string(makeflags.substr(end));
  }
  return flags;
}

std::optional<Form> choose_form(std::optional<Tool> tool, const Versions& versions,
                                std::string& why_not) {
  const auto make = make_version(versions.make);
  if (tool == Tool::kMake && !make) {
    why_not = "this make is not GNU make";
    return std::nullopt;
  }
  if (tool == Tool::kMake && *make < kMakeReadsDescriptors) {
    why_not = "this make is too old, GNU make can from 4.2 on";
    return std::nullopt;
  }
  if (tool == Tool::kMake || tool == Tool::kCargo) return Form::kDescriptors;
  // An older make ends with an error if it finds a fifo in MAKEFLAGS.
  const bool fifo_stops_make = make && *make < kMakeReadsFifos;
  if (!tool) return fifo_stops_make ? Form::kDescriptors : Form::kFifo;
  const auto ninja = version_in(versions.ninja);
  if (!ninja || *ninja < kNinjaReadsFifos) {
    why_not = "this ninja is too old, it can from 1.13 on";
    return std::nullopt;
  }
  if (!fifo_stops_make) return Form::kFifo;
  // Kitware's ninja, which pip installs. It would rather have the fifo, and says so.
  if (versions.ninja.find("jobserver-pipe") != std::string::npos) return Form::kDescriptors;
  why_not = "it would stop the make in PATH, which is older than 4.4";
  return std::nullopt;
}

}  // namespace corewise::cli::jobs

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "jobs/job_words.h"

namespace corewise::cli::jobs {
namespace {

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : line + " ") {
    if (c != ' ') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  return words;
}

// "words left | most", "no most" if any number of jobs is allowed, or "no build".
std::string read(const std::string& line, const std::string& makeflags = "") {
  const auto build = read_build(split(line), makeflags);
  if (!build) return "no build";
  std::string text;
  for (const std::string& word : build->words) text += word + " ";
  return text + "| " + (build->most == kNoMost ? "no most" : std::to_string(build->most));
}

std::string formed(std::optional<Tool> tool, const Versions& versions) {
  std::string why;
  const auto form = choose_form(tool, versions, why);
  if (!form) return why;
  return *form == Form::kFifo ? "fifo" : "descriptors";
}

}  // namespace

TEST_CASE("the -j of make goes, and its number is the most") {
  CHECK(read("make -j") == "make | no most");
  CHECK(read("make -j8 all") == "make all | 8");
  CHECK(read("make -j 8 all") == "make all | 8");
  CHECK(read("make -j all 8") == "make all 8 | no most");
  CHECK(read("/usr/bin/gmake -kj4 -C sub") == "/usr/bin/gmake -k -C sub | 4");
  CHECK(read("make --jobs=3") == "make | 3");
  CHECK(read("make --jobs 3 x") == "make x | 3");
  CHECK(read("make --jobs -k") == "make -k | no most");
  CHECK(read("make -j4 -j2") == "make | 2");
}

TEST_CASE("what looks like -j and is another option's stays") {
  CHECK(read("make -C -j -j3") == "make -C -j | 3");
  CHECK(read("make -fj4 -j2") == "make -fj4 | 2");
  CHECK(read("make -Oj -l 2.5 -j3") == "make -Oj -l 2.5 | 3");
  CHECK(read("make -j2 -- -j3") == "make -- -j3 | 2");
  CHECK(read("make -- -j3") == "no build");
}

TEST_CASE("a command that is no parallel build is left as it is") {
  for (const char* line : {"make",
                           "make all",
                           "make -j1",
                           "make -k -j 1",
                           "make -jx",
                           "make -j0",
                           "make -j-3",
                           "make -j99999999999999999999",
                           "python make -j8",
                           "makefile -j8",
                           "ninja -j1",
                           "ninja -j0",
                           "ninja -n",
                           "ninja -t clean",
                           "ninja -j",
                           "cargo fmt",
                           "cargo",
                           "cargo build -j default",
                           "cargo nextest run -j4",
                           "cargo test -j1",
                           ""}) {
    CAPTURE(line);
    CHECK(read(line) == "no build");
  }
}

TEST_CASE("ninja and cargo build in parallel by themselves") {
  CHECK(read("ninja") == "ninja | no most");
  CHECK(read("ninja -C out -j 12 -k 0 all") == "ninja -C out -k 0 all | 12");
  CHECK(read("ninja -vj3") == "ninja -v | 3");
  CHECK(read("cargo build") == "cargo build | no most");
  CHECK(read("cargo +nightly test -j=4 -p x") == "cargo +nightly test -p x | 4");
  CHECK(read("cargo run -j 4 -- -j 9") == "cargo run -- -j 9 | 4");
}

TEST_CASE("what cargo gives to the program that it runs stays the program's") {
  for (const char* run : {"run", "r", "rustc", "rustdoc"}) {
    const std::string line = std::string("cargo ") + run;
    CHECK(read(line + " in.txt -j 4") == line + " in.txt -j 4 | no most");
    CHECK(read(line + " -j2 in.txt --jobs=4") == line + " in.txt --jobs=4 | 2");
  }
  CHECK(read("cargo +nightly run x -kj4") == "cargo +nightly run x -kj4 | no most");
  CHECK(read("cargo test some_name -j 4") == "cargo test some_name | 4");
}

TEST_CASE("a -j in MAKEFLAGS counts like one on the command line, which wins") {
  CHECK(read("make", "-j8") == "make | 8");
  CHECK(read("make", "-j 8") == "make | 8");
  CHECK(read("make", "k --jobs 8 -- A=1") == "make | 8");
  CHECK(read("make", "-j k") == "make | no most");
  CHECK(read("make", "k --jobs=5 -- A=1") == "make | 5");
  CHECK(read("make", "k -- A=-j5 -j9") == "no build");
  CHECK(read("make -j2", "-j8") == "make | 2");
  CHECK(read("make", "-j1") == "no build");
  CHECK(read("make", "ks") == "no build");
}

TEST_CASE("MAKEFLAGS keeps what it has, and variables stay last") {
  CHECK(with_jobserver("", "3,4", 2) == " -j2 --jobserver-auth=3,4");
  CHECK(with_jobserver("ks", "fifo:/p", 2) == "ks -j2 --jobserver-auth=fifo:/p");
  CHECK(with_jobserver("k -- A=1", "3,4", 2) == "k -j2 --jobserver-auth=3,4 -- A=1");
  CHECK(with_jobserver("-- A=1", "3,4", 2) == " -j2 --jobserver-auth=3,4 -- A=1");
  CHECK(names_jobserver(" -j2 --jobserver-auth=3,4"));
  CHECK(names_jobserver("--jobserver-fds=3,4"));
  CHECK_FALSE(names_jobserver("ks -j2"));
}

TEST_CASE("the form that the tool and the make in PATH can read") {
  const std::string old = "GNU Make 4.3";
  const std::string now = "GNU Make 4.4.1";
  CHECK(formed(Tool::kMake, {old, ""}) == "descriptors");
  CHECK(formed(Tool::kMake, {now, ""}) == "descriptors");
  CHECK(formed(Tool::kMake, {"GNU Make 10.1", ""}) == "descriptors");
  CHECK(formed(Tool::kMake, {"GNU Make 3.82", ""}).find("4.2") != std::string::npos);
  CHECK(formed(Tool::kMake, {"bmake 2020", ""}) == "this make is not GNU make");
  CHECK(formed(Tool::kCargo, {"", ""}) == "descriptors");
  CHECK(formed(Tool::kCargo, {old, ""}) == "descriptors");
  CHECK(formed(std::nullopt, {now, ""}) == "fifo");
  CHECK(formed(std::nullopt, {"", ""}) == "fifo");
  CHECK(formed(std::nullopt, {old, ""}) == "descriptors");
  CHECK(formed(Tool::kNinja, {now, "1.13.0"}) == "fifo");
  CHECK(formed(Tool::kNinja, {"", "1.13.2"}) == "fifo");
  CHECK(formed(Tool::kNinja, {old, "1.13.0"}).find("4.4") != std::string::npos);
  CHECK(formed(Tool::kNinja, {old, "1.13.2.git.kitware.jobserver-pipe-1"}) == "descriptors");
  CHECK(formed(Tool::kNinja, {now, "1.11.1"}).find("1.13") != std::string::npos);
  CHECK(formed(Tool::kNinja, {now, ""}).find("1.13") != std::string::npos);
}

}  // namespace corewise::cli::jobs

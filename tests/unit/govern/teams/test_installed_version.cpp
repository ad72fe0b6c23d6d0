// The version that stands beside an installed package.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "govern/teams/installed_version.h"

using namespace corewise::govern;

namespace {

constexpr const char* kModule = "sklearn/_loss/_loss.so";
constexpr const char* kNote = "scikit_learn-1.5.2.dist-info";
constexpr const char* kRecord = "a/b.py,sha256=x,7\nsklearn/_loss/_loss.so,sha256=y,3\n";

// A folder with the module, three bytes of it, among these files.
class Site {
 public:
  Site(std::initializer_list<std::pair<std::string, const char*>> files) {
    path_ = (std::filesystem::temp_directory_path() / "installed.XXXXXX").string();
    REQUIRE(mkdtemp(path_.data()) != nullptr);
    write(kModule, "abc");
    for (const auto& [name, text] : files) write(name, text);
  }
  ~Site() { std::filesystem::remove_all(path_); }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  std::optional<std::string> version(const char* file = kModule) const {
    return installed_version(path_, "scikit_learn", file);
  }

 private:
  void write(const std::string& name, const char* text) const {
    const std::filesystem::path file = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::string path_;
};

std::string in_note(const char* file) { return std::string(kNote) + "/" + file; }

// With the note of a release, and this in its direct_url.json.
std::optional<std::string> from(const char* origin) {
  return Site({{in_note("RECORD"), kRecord}, {in_note("direct_url.json"), origin}}).version();
}

}  // namespace

TEST_CASE("installed version: what the installer recorded") {
  CHECK(Site({{in_note("RECORD"), kRecord}, {"numpy-2.4.6.dist-info/RECORD", ""}}).version() ==
        "1.5.2");
  CHECK(Site({{in_note("RECORD"), "sklearn/_loss/_loss.so,,3\r\n"}}).version() == "1.5.2");
  CHECK(Site({{"scikit_learn-1.6.dev0.dist-info/RECORD", kRecord}}).version() == "1.6.dev0");
  CHECK(Site({{in_note("RECORD"), kRecord}, {"scikit_learn-1.5.2-py3.11.egg-info/a", ""}})
            .version() == "1.5.2");
}

TEST_CASE("installed version: no record of this file proves nothing") {
  CHECK(!Site({}).version());
  CHECK(!Site({{in_note("METADATA"), ""}}).version());
  CHECK(!Site({{in_note("RECORD"), ""}}).version());
  CHECK(!Site({{in_note("RECORD"), "sklearn/_loss/_loss.so,sha256=y,4\n"}}).version());
  CHECK(!Site({{in_note("RECORD"), "sklearn/_loss/_loss.so,,\n"}}).version());
  CHECK(!Site({{in_note("RECORD"), "sklearn/_loss/_loss.so\n"}}).version());
  CHECK(!Site({{in_note("RECORD"), "x/sklearn/_loss/_loss.so,,3\n"}}).version());
  CHECK(!Site({{in_note("RECORD"), kRecord}}).version("sklearn/_loss/gone.so"));
  CHECK(!Site({{"scikit_learn-1.5.2-py3.11.egg-info/RECORD", kRecord}}).version());
  CHECK(!Site({{"scikit_learn-1.5.2.egg-info/RECORD", kRecord}}).version());
  CHECK(!Site({{"~cikit_learn-1.5.2.dist-info/RECORD", kRecord}}).version());
  CHECK(!installed_version("/nonexistent", "scikit_learn", kModule));
}

TEST_CASE("installed version: two that disagree") {
  CHECK(!Site({{in_note("RECORD"), kRecord}, {"scikit_learn-1.4.0.dist-info/RECORD", kRecord}})
             .version());
  CHECK(!Site({{in_note("RECORD"), kRecord}, {"scikit_learn-1.4.0.egg-info/PKG-INFO", ""}})
             .version());
}

TEST_CASE("installed version: what was built from a folder or a repository may be changed") {
  CHECK(from(R"({"url": "file:///x/a.whl", "archive_info": {}})") == "1.5.2");
  CHECK(!from(R"({"url": "file:///x", "dir_info": {}})"));
  CHECK(!from(R"({"url": "file:///x", "dir_info": {"editable": true}})"));
  CHECK(!from(R"({"url": "https://x/y", "vcs_info": {"vcs": "git", "commit_id": "1"}})"));
  CHECK(!from(R"({"url": "file:///x"})"));
  CHECK(!from(R"({"url": )"));
  CHECK(!from(""));
}

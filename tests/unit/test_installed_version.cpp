// The version that stands beside an installed package.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>

#include "govern/installed_version.h"

using namespace corewise::govern;

namespace {

// What is found among these entries of a folder.
std::optional<std::string> among(std::initializer_list<const char*> entries) {
  std::string folder = (std::filesystem::temp_directory_path() / "installed.XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  for (const char* entry : entries) std::filesystem::create_directory(folder + "/" + entry);
  auto found = installed_version(folder, "scikit_learn");
  std::filesystem::remove_all(folder);
  return found;
}

}  // namespace

TEST_CASE("installed version: pip's, conda's and Debian's notes") {
  CHECK(among({"numpy-2.4.6.dist-info", "scikit_learn-1.5.2.dist-info"}) == "1.5.2");
  CHECK(among({"scikit_learn-1.5.2-py3.11.egg-info", "sklearn"}) == "1.5.2");
  CHECK(among({"scikit_learn-1.2.1.egg-info"}) == "1.2.1");
  CHECK(among({"scikit_learn-1.6.dev0.dist-info"}) == "1.6.dev0");
}

TEST_CASE("installed version: none is better than a wrong one") {
  CHECK(!among({}));
  CHECK(!among({"scikit_learn", "scikit_learn-1.5.2", "scikit_learn_extra-0.3.0.dist-info"}));
  CHECK(!among({"xscikit_learn-1.5.2.dist-info", "~cikit_learn-1.5.2.dist-info"}));
  CHECK(!among({"scikit_learn-1.5.2.dist-info", "scikit_learn-1.4.0.dist-info"}));
  CHECK(among({"scikit_learn-1.5.2.dist-info", "scikit_learn-1.5.2-py3.11.egg-info"}) == "1.5.2");
  CHECK(!installed_version("/nonexistent", "scikit_learn"));
}

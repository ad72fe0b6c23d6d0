// Which libraries a name means.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "govern/teams/bend_name.h"

using namespace corewise::govern;

TEST_CASE("bend name: a file's name, whole or up to a dot") {
  for (const char* path : {"/opt/lib/libmine.so", "lib/libmine.so.1", "/x/libmine.so.1.2.3",
                           "libmine.so", "/v/site-packages/a.libs/libmine-1a2b3c4d.so.1"}) {
    CHECK(names_library("libmine", path));
    CHECK(names_library("libmine.so", path));
  }
  CHECK(names_library("libmine-1a2b3c4d", "/v/a.libs/libmine-1a2b3c4d.so.1"));
  CHECK(names_library("_fast", "/v/_fast.cpython-311-x86_64-linux-gnu.so"));
  CHECK(names_library("mine", "/home/me/mine"));
  CHECK(names_library("libtorch-2.1", "/x/libtorch-2.1.so"));
}

TEST_CASE("bend name: no part of a name, and no folder of the user's") {
  CHECK(!names_library("libmine", "/home/me/libmine/venv/lib/libxgb.so"));
  CHECK(!names_library("libmine", "/home/me/libmine.so/libxgb.so"));
  CHECK(!names_library("libmine", "/x/libmine2.so"));
  CHECK(!names_library("libmine", "/x/libmine-more.so"));
  CHECK(!names_library("libmine", "/x/libmine-1a2b3c4.so"));
  CHECK(!names_library("libmine", "/x/libmine-1a2b3c4x.so"));
  CHECK(!names_library("mine", "/x/libmine.so"));
  CHECK(!names_library("libmine.so.2", "/x/libmine.so.1"));
  CHECK(!names_library("", "/x/libmine.so"));
}

TEST_CASE("bend name: an installed package's folder") {
  CHECK(names_library("xgboost", "/v/lib/python3.11/site-packages/xgboost/lib/libxgboost.so"));
  CHECK(names_library("mine", "/usr/lib/python3/dist-packages/mine/deep/er/x.so"));
  CHECK(!names_library("lib", "/v/lib/python3.11/site-packages/xgboost/lib/libxgboost.so"));
  CHECK(!names_library("v", "/v/lib/python3.11/site-packages/xgboost/lib/libxgboost.so"));
  CHECK(!names_library("site-packages", "/v/site-packages/x.so"));
  CHECK(!names_library("outer", "/v/site-packages/outer/venv/site-packages/inner/x.so"));
  CHECK(names_library("inner", "/v/site-packages/outer/venv/site-packages/inner/x.so"));
  CHECK(!names_library("outer", "/v/site-packages/outer/venv/dist-packages/inner/x.so"));
}

TEST_CASE("bend name: with a slash, any part of the path") {
  CHECK(names_library("/libmi", "/x/libmine.so"));
  CHECK(names_library("libmine/", "/home/me/libmine/venv/lib/libxgb.so"));
  CHECK(names_library("/", "/x/libmine.so"));
  CHECK(!names_library("lib/libmine", "/x/libmine.so"));
}

TEST_CASE("bend name: between colons") {
  CHECK(names_between_colons("").empty());
  CHECK(names_between_colons(":a::b/c:") == std::vector<std::string>{"a", "b/c"});
}

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/json_reader.h"
#include "control/conversation.h"
#include "control/request.h"
#include "control/server.h"
#include "control/sockets.h"

using namespace corewise;
using control::Request;

TEST_CASE("Requests are understood in full") {
  const auto limit = control::read_request(
      R"({"request":"limit","limits":{"blas":4},"pools":{"libgomp":2},"dry_run":true})");
  REQUIRE(limit);
  CHECK(limit->command == Request::Command::kLimit);
  CHECK(limit->dry_run);
  REQUIRE(limit->rules.size() == 2);
  CHECK(limit->rules[0].match == CW_MATCH_API);
  CHECK(limit->rules[0].name == "blas");
  CHECK(limit->rules[0].threads == 4);
  CHECK(limit->rules[1].match == CW_MATCH_NAME);
  CHECK(limit->rules[1].threads == 2);
  CHECK(control::read_request(R"({"request":"govern","budget":3})")->budget == 3);
  CHECK(control::read_request(R"({"request":"govern","budget":null})")->budget == 0);
  CHECK(control::read_request(R"({"request":"sample","each":true})")->each);
}

TEST_CASE("Requests that make no sense are refused") {
  struct Case {
    const char* line;
    cw_status status;
    const char* word;
  };
  for (const Case& each : std::initializer_list<Case>{
           {"", CW_BAD_ARGUMENT, "not JSON"},
           {"[]", CW_BAD_ARGUMENT, "\"request\""},
           {"{}", CW_BAD_ARGUMENT, "\"request\""},
           {R"({"request":1})", CW_BAD_ARGUMENT, "\"request\""},
           {R"({"request":"quit"})", CW_BAD_ARGUMENT, "quit"},
           {R"({"request":"info","limits":{}})", CW_BAD_ARGUMENT, "no key"},
           {R"({"request":"sample","dry_run":true})", CW_BAD_ARGUMENT, "no key"},
           {R"({"request":"limit"})", CW_BAD_ARGUMENT, "at least one"},
           {R"({"request":"limit","limits":[]})", CW_BAD_ARGUMENT, "object"},
           {R"({"request":"limit","limits":{"blas":0}})", CW_BAD_COUNT, "blas"},
           {R"({"request":"limit","limits":{"blas":40000}})", CW_BAD_COUNT, "32768"},
           {R"({"request":"limit","limits":{"blas":1.5}})", CW_BAD_COUNT, "whole"},
           {R"({"request":"limit","limits":{"blas":"2"}})", CW_BAD_COUNT, "whole"},
           {R"({"request":"limit","pools":{"":2}})", CW_BAD_ARGUMENT, "name"},
           {R"({"request":"limit","limits":{"blas":1},"dry_run":1})", CW_BAD_ARGUMENT, "dry_run"},
           {R"({"request":"govern","budget":-1})", CW_BAD_COUNT, "budget"}}) {
    CAPTURE(each.line);
    const auto request = control::read_request(each.line);
    REQUIRE_FALSE(request);
    CHECK(request.error().status == each.status);
    CHECK(request.error().what.find(each.word) != std::string::npos);
  }
  CHECK_FALSE(control::read_request("{\"request\":\"info\"" + std::string(5000, ' ') + "}"));
}

TEST_CASE("A conversation answers line by line, wherever the bytes are cut") {
  int asked = 0;
  control::Conversation talk([&](std::string_view line) {
    ++asked;
    return "<" + std::string(line) + ">";
  });
  CHECK(talk.at_rest());
  CHECK(talk.take("on"));
  CHECK_FALSE(talk.serve());
  CHECK_FALSE(talk.at_rest());
  CHECK(talk.take("e\ntwo\n"));
  CHECK(talk.serve());
  CHECK(talk.out() == "<one>\n");
  // The second waits until the first was taken.
  CHECK_FALSE(talk.serve());
  talk.sent(2);
  CHECK(talk.out() == "ne>\n");
  talk.sent(4);
  CHECK(talk.serve());
  CHECK(talk.out() == "<two>\n");
  talk.sent(6);
  CHECK(talk.at_rest());
  CHECK(asked == 2);
}

TEST_CASE("An endless line is refused") {
  control::Conversation talk([](std::string_view) { return std::string(); });
  bool taken = true;
  for (int i = 0; i < 10 && taken; ++i) taken = talk.take(std::string(1000, 'x'));
  CHECK_FALSE(taken);
  CHECK(talk.out().find("at most 4096 bytes") != std::string::npos);
}

TEST_CASE("The socket answers in this process, and not in a forked child") {
  if (const auto error = control::start()) {
    MESSAGE(error->what);
    return;
  }
  CHECK(!control::start());  // again: nothing happens
  const std::string path = control::path();
  CHECK(path.ends_with("/" + std::to_string(::getpid()) + ".sock"));
  const auto ask = [](std::string_view line) {
    const auto fd = control::connect_to(::getpid());
    if (!fd) return fd.error().what;
    std::string text;
    if (::write(*fd, line.data(), line.size()) > 0) {
      char c = 0;
      while (::read(*fd, &c, 1) == 1 && c != '\n') text += c;
    }
    ::close(*fd);
    return text;
  };
  const auto sample = read_json(ask("{\"request\":\"sample\",\"each\":true}\n"));
  REQUIRE(sample);
  CHECK(sample->number_at("pid") == ::getpid());
  CHECK(sample->find("threads")->number_at("total") >= 2);
  CHECK(ask("nonsense\n").find("bad argument") != std::string::npos);

#if !defined(__SANITIZE_THREAD__)  // cannot keep account of threads that a child starts
  const pid_t child = ::fork();
  if (child == 0) {
    const bool none = control::path().empty() && !control::connect_to(::getpid());
    const bool again =
        !control::start() && control::path() != path && control::connect_to(::getpid());
    control::stop();
    ::_exit(none && again ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
#endif
  CHECK(ask("{\"request\":\"info\"}\n").find("\"pools\"") != std::string::npos);
  control::stop();
  CHECK(control::path().empty());
  CHECK(::access(path.c_str(), F_OK) != 0);
  CHECK_FALSE(control::connect_to(::getpid()));
}

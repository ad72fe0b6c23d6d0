#include "record_files.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "os/os.h"
#include "recorded_cause.h"
#include "recording.h"
#include "shell/exit_codes.h"
#include "timeline.h"
#include "trace_events.h"

namespace corewise::cli {
namespace {

constexpr int kBins = 450;

Result<std::vector<JsonValue>> read_file_of_lines(const std::string& file) {
  const auto text = os::read_file(file, std::size_t{1} << 30);
  if (!text) return text.error();
  auto lines = read_lines(*text);
  if (!lines) return Error{lines.error().status, file + ": " + lines.error().what};
  return lines;
}

int fail_to_record(const Error& error) {
  return fail(kFailed, "record: " + printable(error.what, false));
}

int write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc | std::ios::binary);
  file << text;
  file.close();
  if (file) return kOk;
  return fail(kFailed, fmt::format("record: cannot write {}: {}", printable(path, false),
                                   std::strerror(errno)));
}

}  // namespace

int write_picture(const std::string& lines, const std::string& base, const std::string& format,
                  bool recorded_now, const Context& context) {
  const bool traces = format == "perfetto";
  const std::string picture = base + (traces ? ".trace.json" : ".html");
  const auto recorded = read_file_of_lines(lines);
  if (!recorded) return fail_to_record(recorded.error());
  const Recording recording = recording_of(*recorded, kBins);
  const std::string text = traces ? trace_events(*recorded) : timeline_html(recording);
  if (const int code = write_file(picture, text); code != kOk) return code;
  note(context.settings, verdict_of(recording));
  const bool unicode = style_for(context.settings, STDERR_FILENO).unicode;
  if (const std::string advice = advice_of(recording, unicode); !advice.empty()) {
    note(context.settings, printable(advice, unicode));
  }
  note(context.settings,
       fmt::format("{} {}; {} {}{}", recorded_now ? "recorded to" : "made from",
                   printable(lines, false), traces ? "open" : "shown in", printable(picture, false),
                   traces ? " at https://ui.perfetto.dev" : ""));
  return kOk;
}

int write_comparison(const std::string& installed, const std::string& governed,
                     const std::string& page, const Context& context) {
  std::vector<Recording> both;
  for (const std::string& file : {installed, governed}) {
    const auto lines = read_file_of_lines(file);
    if (!lines) return fail_to_record(lines.error());
    both.push_back(recording_of(*lines, kBins));
  }
  if (const int code = write_file(page, comparison_html(both[0], both[1])); code != kOk)
    return code;
  note(context.settings, comparison_in_words(both[0], both[1]));
  note(context.settings,
       fmt::format("recorded to {} and {}; shown in {}", printable(installed, false),
                   printable(governed, false), printable(page, false)));
  return kOk;
}

}  // namespace corewise::cli

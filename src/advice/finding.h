// A finding: what is wrong, why, and what to type. The doctor and the death reports share the type.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace corewise {

enum class Severity { kNote, kWarning, kDanger };

// The remedy as the user types it in one place. Empty if `remedy` says it for all places.
struct Cures {
  std::string shell;     // "start it as: corewise run -- ..."
  std::string notebook;  // "%govern on"
  std::string python;    // "corewise.govern()"
};

// One cause is one finding, which lists all the pools it concerns.
struct Finding {
  std::string id;  // stable, for programs: "openblas-slots"
  Severity severity = Severity::kNote;
  std::string what;
  std::string why;
  std::string remedy;  // for a reader in any place
  Cures cures = {};
  std::vector<std::string> pools = {};  // paths
};

// Most severe first, otherwise in the order given.
std::vector<Finding> by_severity(const std::vector<Finding>& findings);

const char* severity_name(Severity severity);
Severity severity_named(std::string_view name);  // apart for tests; kNote for an unknown name

// Puts corewise's own cure for crashes and spinning first in each place; `does` says what it does.
// Then another cure for each place; empty if there is none.
void govern_first(Finding& finding, const std::string& does, const Cures& others);

// "numpy's copy" for an OpenBLAS that came with that Python package, "libopenblas.so.0" for one
// that came with none. For a sentence that does not already speak of OpenBLAS: "numpy's OpenBLAS".
std::string copy_name(std::string_view path, const char* noun = "copy");

// [{"id": ..., "severity": ..., ...}, ...]
void write_findings(Json& json, const std::vector<Finding>& findings);
// {"schema_version": 1, "findings": [...]}
std::string findings_json(const std::vector<Finding>& findings);
// The findings of such a document. CW_BAD_ARGUMENT if the text is not one.
Result<std::vector<Finding>> findings_from_json(std::string_view text);

}  // namespace corewise

// The picture of a recording: a page of its own with an inline SVG, without anything from
// elsewhere.
#pragma once

#include <string>

#include "recording.h"

namespace corewise::cli {

std::string timeline_html(const Recording& recording);

}  // namespace corewise::cli

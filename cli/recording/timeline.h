// The picture of a recording: a self-contained page with an inline SVG.
#pragma once

#include <string>

#include "recording.h"

namespace corewise::cli {

std::string timeline_html(const Recording& recording);

// A program ungoverned and governed, one below the other, to the same scale.
std::string comparison_html(const Recording& installed, const Recording& governed);

// "Ungoverned it took 9.5 s, governed 0.5 s."
std::string comparison_in_words(const Recording& installed, const Recording& governed);

}  // namespace corewise::cli

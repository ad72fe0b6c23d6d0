// Rows of a NumPy file: two dimensions, float64, C order, format versions 1 to 3.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

struct Rows {
  std::size_t count = 0;  // of this part
  std::size_t first = 0;  // its place in the file
  std::size_t all = 0;    // rows in the file
  std::size_t columns = 0;
  std::vector<double> values;

  const double* row(std::size_t index) const { return values.data() + index * columns; }
};

// Part `part` of `parts` equal ones. Throws std::runtime_error that says what is wrong.
Rows read_rows(const std::string& file, std::size_t part, std::size_t parts);

#include "npy.h"

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace {

std::runtime_error wrong(const std::string& file, const std::string& what) {
  return std::runtime_error(file + " " + what +
                            "; save it by numpy.save(file, numpy.ascontiguousarray(X, float))");
}

std::uint32_t little_endian(const unsigned char* bytes, int count) {
  std::uint32_t value = 0;
  while (count-- > 0) value = value << 8 | bytes[count];
  return value;
}

}  // namespace

Rows read_rows(const std::string& file, std::size_t part, std::size_t parts) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error(file + " cannot be opened");
  unsigned char start[12] = {};
  in.read(reinterpret_cast<char*>(start), 8);
  if (!in || std::string(start, start + 6) != "\x93NUMPY") throw wrong(file, "is no .npy file");
  const int width = start[6] == 1 ? 2 : 4;
  in.read(reinterpret_cast<char*>(start + 8), width);
  std::string header(little_endian(start + 8, width) & 0xffff, '\0');
  in.read(header.data(), static_cast<std::streamsize>(header.size()));
  Rows rows;
  const std::size_t shape = header.find("'shape': (");
  char end = 0;
  if (!in || header.find("'<f8'") == std::string::npos ||
      header.find("'fortran_order': False") == std::string::npos || shape == std::string::npos ||
      std::sscanf(header.c_str() + shape, "'shape': (%zu, %zu%c", &rows.all, &rows.columns, &end) !=
          3 ||
      end != ')' || rows.columns == 0) {
    throw wrong(file, "is no table of float64 in C order");
  }
  const auto begin = in.tellg();
  const auto there = static_cast<std::size_t>(in.seekg(0, std::ios::end).tellg() - begin);
  in.seekg(begin);
  // Before memory is taken for what the header only claims.
  if (rows.all > there / sizeof(double) / rows.columns) throw wrong(file, "ends too early");
  rows.first = rows.all * part / parts;
  rows.count = rows.all * (part + 1) / parts - rows.first;
  rows.values.resize(rows.count * rows.columns);
  const auto bytes = [&](std::size_t n) {
    return static_cast<std::streamsize>(n * rows.columns * sizeof(double));
  };
  in.seekg(bytes(rows.first), std::ios::cur);
  in.read(reinterpret_cast<char*>(rows.values.data()), bytes(rows.count));
  if (!in) throw wrong(file, "ends too early");
  return rows;
}

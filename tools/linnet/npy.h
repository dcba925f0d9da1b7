// NumPy's .npy files, version 1.0 and up (numpy.lib.format): what `-o FILE.npy` writes and `--input
// NAME=FILE.npy` reads.
#pragma once
#include "support/file.h"
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace linnet::cli {

/// A dense row-major array in a file. `type` is NumPy's: "<f4", "<i4", "<i8", "<f8", ...
struct NpyArray {
  std::string type;
  std::vector<int64_t> shape;
  std::span<const std::byte> data; ///< in `file`
  MappedFile file;
};

/// Maps a file. Refuses Fortran order, big endian and structured types, and a size that the header
/// contradicts.
Result<NpyArray> readNpy(const std::string &path);

/// Writes an array in pieces, for results larger than one wants in memory.
class NpyWriter {
public:
  static Result<NpyWriter> create(const std::string &path, const std::string &type,
                                  const std::vector<int64_t> &shape);
  Result<void> write(std::span<const std::byte> rows) { return file.write(rows); }
  Result<void> commit() { return file.commit(); }

private:
  explicit NpyWriter(AtomicFile f) : file(std::move(f)) {}
  AtomicFile file;
};

Result<void> writeNpy(const std::string &path, std::span<const float> data,
                      const std::vector<int64_t> &shape);

} // namespace linnet::cli

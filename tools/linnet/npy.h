// NumPy's .npy files, version 1.0 and later (numpy.lib.format): written by `-o FILE.npy`, read by
// `--input NAME=FILE.npy`.
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

/// Maps a file. Errors: Fortran order, big-endian and structured types, and a size that differs from the
/// header's.
Result<NpyArray> readNpy(const std::string &path);

/// Writes an array in pieces, for results that are too large for memory.
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

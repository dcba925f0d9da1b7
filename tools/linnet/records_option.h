// --file and its options for reading texts.
#pragma once
#include "training/records.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace linnet::cli {

/// A file of texts. Each line of a plain text file is a text.
struct RecordsOption {
  std::string file;
  bool whole_file = false; ///< a plain text file is one text
  std::string said;        ///< after read(): the line about the number of texts

  /// Adds the options. Returns --file.
  CLI::Option *add(CLI::App &command);
  /// Reads the file. `read` has the command's requirements. --whole-file with another format is an error.
  Result<std::vector<training::Record>> read(training::ReadOptions read = {});

private:
  std::string format = "auto", text_column;
};

} // namespace linnet::cli

// --file and the options that say how texts are read from it.
#pragma once
#include "training/records.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace linnet::cli {

/// A file whose texts are taken one by one: a line of a plain text file is a text.
struct RecordsOption {
  std::string file;
  bool whole_file = false; ///< a plain text file is one text
  std::string said;        ///< after read(): the line that says how many texts were read

  /// Adds the options; gives --file.
  CLI::Option *add(CLI::App &command);
  /// `read` holds what the command asks for. --whole-file with another format is an error.
  Result<std::vector<training::Record>> read(training::ReadOptions read = {});

private:
  std::string format = "auto", text_column;
};

} // namespace linnet::cli

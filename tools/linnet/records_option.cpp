#include "records_option.h"
#include "support/error.h"

namespace linnet::cli {

using namespace training;

CLI::Option *RecordsOption::add(CLI::App &command) {
  CLI::Option *option =
      command.add_option("-f,--file", file, "texts: .txt (a text a line), .jsonl, .json, .csv, .tsv")
          ->type_name("FILE");
  command.add_flag("--whole-file", whole_file, "a .txt is one text")->needs(option);
  command.add_option("--format", format, "auto (by name), text, jsonl, json, csv or tsv")
      ->needs(option)
      ->type_name("NAME")
      ->capture_default_str();
  command.add_option("--text-column", text_column, "name or number of the column with texts")
      ->needs(option)
      ->type_name("NAME");
  return option;
}

Result<std::vector<Record>> RecordsOption::read(ReadOptions read) {
  LINNET_ASSIGN(read.format, parseRecordFormat(format));
  if (read.format == RecordFormat::Auto) {
    LINNET_ASSIGN(read.format, formatByName(file));
  }
  if (whole_file && read.format != RecordFormat::Text)
    return errorf("{}: --whole-file expects plain text, found records; leave it out", file);
  read.text_column = text_column;
  read.plain = whole_file ? PlainTexts::File : PlainTexts::Lines;
  read.note = [this](const std::string &line) { said = line; };
  return readRecords(file, read);
}

} // namespace linnet::cli

#include "compiler/dump/dump.h"
#include "compiler/dump/svg.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace linnet::dump {
namespace {

std::string link(const std::string &file, const std::string &text) {
  return "<a href=\"" + escaped(file) + "\">" + escaped(text) + "</a>";
}

std::string milliseconds(double seconds) { return fmt::format("{:.2f} ms", seconds * 1e3); }

std::string passTable(const TargetRecord &target) {
  std::string out = "<h3>Passes</h3>\n<table>\n<tr><th>#</th><th>pass</th><th>time</th><th>ops before</th>"
                    "<th>ops after</th><th>IR after it</th><th>what it changed</th></tr>\n";
  std::string before = "00-input.mlir";
  out += "<tr><td class=n>0</td><td>(input)</td><td></td><td></td><td></td><td>" +
         link(target.target + "/" + before, before) + "</td><td></td></tr>\n";
  for (size_t i = 0; i < target.passes.size(); ++i) {
    const PassRecord &pass = target.passes[i];
    out += fmt::format(
        "<tr><td class=n>{}</td><td>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td>", i + 1,
        escaped(pass.name), milliseconds(pass.seconds), pass.before, pass.after);
    const std::string outcome = !pass.crash.empty() ? pass.crash : pass.failed ? "failed" : "no change";
    if (pass.file.empty()) {
      out += "<td class=quiet>" + escaped(outcome) + "</td><td></td></tr>\n";
      continue;
    }
    out += "<td>" + link(target.target + "/" + pass.file, pass.file) + (pass.failed ? " (failed)" : "") +
           "</td><td><code>diff " + escaped(before + " " + pass.file) + "</code></td></tr>\n";
    before = pass.file;
  }
  return out + "</table>\n";
}

std::string pictures(const TargetRecord &target) {
  std::string out = "<h3>Graphs and memory</h3>\n<table>\n<tr><th>entry</th><th>before the passes</th>"
                    "<th>after the passes</th><th>memory plan</th></tr>\n";
  for (const EntryRecord &entry : target.entries) {
    const std::string base = target.target + "/" + entry.file;
    auto both = [&](const std::string &stage) {
      return link(base + stage + ".svg", "SVG") + " " + link(base + stage + ".dot", "DOT");
    };
    out += "<tr><td>" + escaped(entry.name) + "</td><td>" + both(".input") + "</td><td>" +
           (target.planned ? both(".final") : "") + "</td><td>" +
           (entry.planned ? link(base + ".memory.svg", "SVG") : "none") + "</td></tr>\n";
  }
  out += "</table>\n";
  for (const EntryRecord &entry : target.entries)
    if (entry.planned) {
      const std::string file = escaped(target.target + "/" + entry.file + ".memory.svg");
      out += "<p><a href=\"" + file + "\"><img src=\"" + file + "\" alt=\"memory plan of " +
             escaped(entry.name) + "\"></a></p>\n";
    }
  return out;
}

std::string kernelTable(const TargetRecord &target) {
  if (target.kernels.empty()) return "";
  std::set<std::string> names, isas;
  std::set<std::pair<std::string, std::string>> files; // file without its ending, ending
  for (const KernelRecord &kernel : target.kernels) {
    names.insert(kernel.name), isas.insert(kernel.isa);
    const size_t dot = kernel.file.rfind('.');
    files.insert({kernel.file.substr(0, dot), kernel.file.substr(dot)});
  }
  std::string out = "<h3>Kernels</h3>\n<table>\n<tr><th>kernel</th>";
  for (const std::string &isa : isas) out += "<th>" + escaped(isa) + "</th>";
  out += "<th>commands that call it</th></tr>\n";
  for (const std::string &name : names) {
    out += "<tr><td>" + escaped(name) + "</td>";
    for (const std::string &isa : isas) {
      const std::string base = "kernels/" + fileName(isa) + "/" + fileName(name);
      out += "<td>";
      for (auto file = files.lower_bound({base, ""}); file != files.end() && file->first == base; ++file)
        out += link(target.target + "/" + base + file->second, file->second.substr(1)) + " ";
      out += "</td>";
    }
    out += "<td>";
    if (auto uses = target.uses.find(name); uses != target.uses.end()) {
      const std::vector<std::string> &all = uses->second;
      out += escaped(all.front());
      if (all.size() > 1) out += fmt::format(" and {} more", all.size() - 1);
    }
    out += "</td></tr>\n";
  }
  return out + "</table>\n";
}

} // namespace

std::string indexPage(const std::string &title, const std::string &subtitle,
                      const std::vector<TargetRecord> &targets, const std::vector<PhaseTime> &phases) {
  std::string out = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>linnet dump</title>
<style>
body{font:14px/1.5 system-ui,sans-serif;margin:2em;color:#1b1f24}
table{border-collapse:collapse;margin:0 0 1.5em}td,th{border:1px solid #d0d7de;padding:.2em .6em;text-align:left}
th{background:#f6f8fa}.n{text-align:right;font-variant-numeric:tabular-nums}.quiet{color:#6e7781}
img{max-width:100%;border:1px solid #d0d7de}code{font-size:12px}
</style></head><body>
)";
  out += "<h1>" + escaped(title) + "</h1>\n<p>" + escaped(subtitle) + "</p>\n";
  for (const TargetRecord &target : targets)
    out += "<h2>" + escaped(target.target) + "</h2>\n" + passTable(target) + pictures(target) +
           kernelTable(target);
  out += "<h2>Phases</h2>\n<table>\n<tr><th>phase</th><th>time</th></tr>\n";
  for (const PhaseTime &phase : phases)
    out +=
        "<tr><td>" + escaped(phase.name) + "</td><td class=n>" + milliseconds(phase.seconds) + "</td></tr>\n";
  return out + "</table>\n</body></html>\n";
}

} // namespace linnet::dump

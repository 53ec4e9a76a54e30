#include "tools/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "core/onnx/onnx.h"
#include "core/ops/facts.h"
#include "core/support/error.h"
#include "core/support/file.h"

namespace dwindle::cli {
namespace {

// Columns, not bytes, of UTF-8 text.
size_t width(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

uint64_t total(const std::map<std::string, uint64_t>& bytes) {
  uint64_t sum = 0;
  for (const auto& [dtype, count] : bytes) sum += count;
  return sum;
}

// A note, and what others name where they differ from it in the first quoted name alone.
struct Alike {
  std::string note;
  std::vector<std::string> others;
};

std::vector<Alike> fold(const std::vector<std::string>& notes) {
  std::vector<Alike> folded;
  std::map<std::pair<std::string, std::string>, size_t> seen;  // text around the name: its place
  for (const std::string& note : notes) {
    const size_t open = note.find('\'');
    const size_t close = open == std::string::npos ? open : note.find('\'', open + 1);
    if (close == std::string::npos) {
      folded.push_back({note, {}});
      continue;
    }
    const auto [place, is_new] =
        seen.try_emplace({note.substr(0, open), note.substr(close + 1)}, folded.size());
    if (is_new) {
      folded.push_back({note, {}});
    } else {
      folded[place->second].others.push_back(note.substr(open, close + 1 - open));
    }
  }
  return folded;
}

// Three names show what others are; a deep model has hundreds.
std::string more_of(const std::vector<std::string>& names) {
  if (names.empty()) return "";
  constexpr size_t kShown = 3;
  std::string text = fmt::format(" (and {} more: ", names.size());
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return text + (names.size() > kShown ? ", …)" : ")");
}

}  // namespace

std::string format_bytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  size_t unit = 0;
  auto value = static_cast<double>(bytes);
  while (value >= 999.95 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - width(row[i]), ' ');
      line += i == 0 ? row[i] + blanks : "  " + blanks + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

uint64_t file_bytes(const std::filesystem::path& path, const Model& model) {
  // Exact for a file of its own; what lies in external data is what saving would write there.
  std::error_code error;
  const uint64_t own = std::filesystem::file_size(path, error);
  if (error) throw IoError("cannot read " + path.string() + ": " + error.message());
  for (const Value* value : model.graph->initializers()) {
    if (value->initializer() != nullptr && value->initializer()->mapped()) {
      return serialized_size(model);
    }
  }
  return own;
}

void print_change(const Model& before, uint64_t bytes_before, const Model& after,
                  uint64_t bytes_after) {
  const Facts old = count_facts(before), now = count_facts(after);
  std::vector<std::vector<std::string>> rows = {{"", "before", "after"}};
  const auto add = [&](const std::string& name, const std::string& a, const std::string& b) {
    rows.push_back({name, a, b});
  };
  add("size", format_bytes(bytes_before), format_bytes(bytes_after));
  add("weights", format_bytes(total(old.weight_bytes)), format_bytes(total(now.weight_bytes)));
  add("nodes", std::to_string(old.nodes), std::to_string(now.nodes));
  std::set<std::string> ops;
  for (const auto& [op, count] : old.ops) ops.insert(op);
  for (const auto& [op, count] : now.ops) ops.insert(op);
  const auto count = [](const Facts& facts, const std::string& op) {
    const auto it = facts.ops.find(op);
    return it == facts.ops.end() ? int64_t{0} : it->second;
  };
  for (const std::string& op : ops) {
    if (count(old, op) == count(now, op)) continue;
    add("  " + op, std::to_string(count(old, op)), std::to_string(count(now, op)));
  }
  fmt::print("{}", format_table(rows));
}

void print_passes(const std::vector<passes::PassReport>& reports) {
  for (const passes::PassReport& report : reports) {
    std::string counts;
    for (const auto& [what, count] : report.result.counts) {
      if (count != 0) counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", count, what);
    }
    // What a pass did is in its counts or else in its notes.
    if (report.result.changed && (!counts.empty() || report.result.notes.empty())) {
      fmt::print("{}: {}\n", report.pass, counts.empty() ? "done" : counts);
    }
    for (const Alike& alike : fold(report.result.notes)) {
      fmt::print("{}: note: {}{}\n", report.pass, alike.note, more_of(alike.others));
    }
  }
}

void require_writable(const std::filesystem::path& path) { const AtomicFile probe(path); }

}  // namespace dwindle::cli

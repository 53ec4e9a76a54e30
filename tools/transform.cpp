#include "tools/transform.h"

#include <fmt/format.h>

#include <cmath>

#include "core/ir/verify.h"
#include "core/onnx/onnx.h"
#include "core/runtime/same_outputs.h"
#include "core/support/error.h"
#include "tools/report.h"

namespace dwindle::cli {

void add_paths(CLI::App& app, Paths& paths) {
  app.add_option("IN", paths.input, "The ONNX file to read")->required();
  app.add_option("OUT", paths.output, "The ONNX file to write")->required();
  app.add_option("--external-data", paths.external_data,
                 "Where large weights go: as they are, all in OUT, or all in OUT.data")
      ->check(CLI::IsMember({"auto", "never", "always"}))
      ->capture_default_str();
}

Transform::Transform(const Paths& paths) : paths_(paths), original_(load_model(paths.input)) {
  verify(original_);
  bytes_before_ = file_bytes(paths.input, original_);
  require_writable(paths.output);
  model_ = original_.clone();
}

std::string Transform::check(bool must_match) const {
  const SameOutputs result =
      checked_same_outputs(original_, model_, "--no-check writes it without");
  if (must_match && !result.same) {
    throw Error("the result does not compute what the original does, nothing is written: " +
                result.summary());
  }
  return "beside the original, on random inputs: " + result.summary();
}

void Transform::finish(const std::vector<passes::PassReport>& reports) const {
  ExternalData where = ExternalData::kAuto;
  if (paths_.external_data == "never") where = ExternalData::kNever;
  if (paths_.external_data == "always") where = ExternalData::kAlways;
  save_model(model_, paths_.output, where);
  print_passes(reports);
  print_change(original_, bytes_before_, model_, serialized_size(model_));
}

namespace {

// Converters join the names of what they fused; both ends tell most.
std::string shortened(const std::string& name) {
  constexpr size_t kLongest = 48;
  if (name.size() <= kLongest) return name;
  return name.substr(0, kLongest / 2 - 1) + "…" + name.substr(name.size() - kLongest / 2);
}

}  // namespace

void print_quality(const passes::Quality& quality) {
  fmt::print("beside the original, on {} {}:\n", quality.samples,
             quality.random ? "random inputs (--calib takes real ones)" : "samples");
  for (const OutputAgreement& output : quality.outputs) {
    const std::string sqnr = !output.comparable() ? "of another shape in every run"
                             : std::isinf(output.sqnr_db) && output.sqnr_db > 0
                                 ? "equal"
                                 : fmt::format("SQNR {:.1f} dB", output.sqnr_db);
    const std::string top1 =
        output.top1 ? fmt::format(", the same top class in {:.2f} %", 100 * *output.top1) : "";
    fmt::print("  {}: {}{}\n", output.output, sqnr, top1);
  }
  std::vector<std::vector<std::string>> rows;
  for (const passes::NodeLoss& loss : quality.worst_nodes) {
    if (loss.lost_db.value_or(HUGE_VAL) <= 0) continue;
    const std::string op = loss.rounded_for.empty() ? loss.op
                                                    : fmt::format("{}, rounded for {}", loss.op,
                                                                  shortened(loss.rounded_for));
    rows.push_back({"  " + shortened(loss.node), op, fmt::format("{:.1f} dB", loss.sqnr_db),
                    loss.lost_db ? fmt::format("{:.1f} dB lost", *loss.lost_db) : ""});
  }
  if (!rows.empty()) fmt::print("nodes that lose most:\n{}", format_table(rows));
}

}  // namespace dwindle::cli

// dwindle compare: models beside each other over the same data.
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/onnx/onnx.h"
#include "core/runtime/compare.h"
#include "core/support/error.h"
#include "tools/data_flags.h"
#include "tools/progress_bar.h"
#include "tools/report.h"
#include "tools/verb.h"

namespace dwindle::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::vector<std::string> paths;
  DataFlags data;
  CompareOptions options;
  bool json = false;
};

// Equal outputs have an infinite SQNR, which JSON has no number for: null.
void print_json(const std::vector<ModelScore>& scores) {
  Json models = Json::array();
  for (const ModelScore& score : scores) {
    Json json = {{"model", score.name}, {"bytes", score.bytes}};
    json["accuracy"] = score.accuracy ? Json(*score.accuracy) : Json();
    json["latency_ms"] = score.latency_ms;
    json["outputs"] = Json::array();
    for (const OutputAgreement& output : score.outputs) {
      json["outputs"].push_back(
          {{"name", output.output},
           {"identical", std::isinf(output.sqnr_db) && output.sqnr_db > 0},
           {"sqnr_db", std::isfinite(output.sqnr_db) ? Json(output.sqnr_db) : Json()},
           {"runs", output.feeds},
           {"runs_of_another_shape", output.unlike},
           {"top1_agreement", output.top1 ? Json(*output.top1) : Json()}});
    }
    models.push_back(std::move(json));
  }
  fmt::print("{}\n", Json{{"models", models}}.dump(2, ' ', false, Json::error_handler_t::replace));
}

std::string format_sqnr(const OutputAgreement& output) {
  if (!output.comparable()) return "other shapes";
  const double db = output.sqnr_db;
  return std::isinf(db) && db > 0 ? "equal" : fmt::format("{:.1f} dB", db);
}

std::string format_share(const std::optional<double>& share) {
  return share ? fmt::format("{:.2f} %", 100 * *share) : "-";
}

void print_table(const std::vector<ModelScore>& scores) {
  const bool labelled = scores[0].accuracy.has_value();
  const bool timed = scores[0].latency_ms > 0;
  std::vector<std::vector<std::string>> rows = {{"model", "size"}};
  if (labelled) rows[0].push_back("top-1");
  if (timed) rows[0].push_back("latency");
  rows[0].insert(rows[0].end(), {"SQNR", "same top-1"});
  for (const ModelScore& score : scores) {
    std::vector<std::string> row = {score.name, format_bytes(score.bytes)};
    if (labelled) row.push_back(format_share(score.accuracy));
    if (timed) row.push_back(fmt::format("{:.3f} ms", score.latency_ms));
    if (score.outputs.size() == 1) {
      row.push_back(format_sqnr(score.outputs[0]));
      row.push_back(format_share(score.outputs[0].top1));
    }
    rows.push_back(std::move(row));
    if (score.outputs.size() < 2) continue;
    for (const OutputAgreement& output : score.outputs) {
      std::vector<std::string> line(rows[0].size() - 2);
      line[0] = "  " + output.output;
      line.insert(line.end(), {format_sqnr(output), format_share(output.top1)});
      rows.push_back(std::move(line));
    }
  }
  fmt::print("{}", format_table(rows));
}

int compare(const Arguments& arguments) {
  if (arguments.options.latency_runs < 0) {
    throw BadOption(fmt::format("--runs is 0 or more, not {}", arguments.options.latency_runs));
  }
  std::vector<Model> models;
  for (const std::string& path : arguments.paths) models.push_back(load_model(path));
  std::vector<NamedModel> named;
  for (size_t i = 0; i < models.size(); ++i) {
    const std::string& path = arguments.paths[i];
    named.push_back({path, &models[i], file_bytes(path, models[i])});
  }
  const auto data = open(arguments.data, models[0]);
  std::vector<ModelScore> scores;
  {
    ProgressBar progress;
    scores = compare_models(named, *data, arguments.options, &progress);
  }
  (arguments.json ? print_json : print_table)(scores);
  return kDone;
}

}  // namespace

Action declare_compare(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  app.add_option("MODELS", arguments->paths,
                 "ONNX files; the first is what others are held against")
      ->required()
      ->expected(2, CLI::detail::expected_max_vector_size);
  add_data_flags(app, arguments->data, "--data", true);
  app.add_option("--runs", arguments->options.latency_runs,
                 "Timed runs of one sample, by which latency is the median; 0: none")
      ->capture_default_str();
  app.add_flag("--json", arguments->json, "As JSON");
  return [arguments] { return compare(*arguments); };
}

}  // namespace dwindle::cli

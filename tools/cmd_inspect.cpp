// dwindle inspect: what a model holds.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/ir/finite.h"
#include "core/ir/verify.h"
#include "core/onnx/onnx.h"
#include "core/onnx/origin.h"
#include "core/ops/facts.h"
#include "core/support/error.h"
#include "passes/pipeline.h"
#include "tools/report.h"
#include "tools/verb.h"

namespace dwindle::cli {
namespace {

using Json = nlohmann::ordered_json;

// Constants with NaN or infinities that the text names.
constexpr size_t kMostListed = 10;

// Graph inputs that are only listed because they have a default value are weights in older files.
std::vector<const Value*> fed_inputs(const Model& model) {
  std::vector<const Value*> values;
  for (const Value* value : model.graph->inputs()) {
    if (value->initializer() == nullptr) values.push_back(value);
  }
  return values;
}

Json json_of(const Value& value) {
  Json shape;
  if (value.type.shape) {
    shape = Json::array();
    for (const Dim& dim : *value.type.shape) {
      if (dim.known()) {
        shape.push_back(dim.extent);
      } else {
        shape.push_back(dim.symbol.empty() ? Json() : Json(dim.symbol));
      }
    }
  }
  return {{"name", value.name()}, {"dtype", dtype_name(value.type.dtype)}, {"shape", shape}};
}

// Where shapes are computed inside the model (as PyTorch's exporter has it), folding what open
// extents of 1 make constant tells more than shape inference does.
std::optional<int64_t> macs_after_folding(const Model& model) {
  Model copy = model.clone();
  for (Value* input : copy.graph->inputs()) {
    if (!input->type.shape) continue;
    for (Dim& dim : *input->type.shape) {
      if (!dim.known()) dim = 1;
    }
  }
  try {
    passes::PassContext context;
    passes::run_recipe(copy, {{{"lift-constants", {}}, {"fold-constants", {}}}}, context);
  } catch (const Error&) {
    return std::nullopt;
  }
  return count_facts(copy).macs;
}

Facts facts_of(const Model& model, bool valid) {
  Facts facts = count_facts(model);
  if (!facts.macs && valid) facts.macs = macs_after_folding(model);
  return facts;
}

Json json_of(const NonFiniteConstant& constant) {
  return {{"name", constant.name},
          {"shape", constant.shape},
          {"nan", constant.found.nans},
          {"infinite", constant.found.infinities},
          {"first", index_of_element(constant.found.first, constant.shape)}};
}

std::string text_of(const NonFiniteConstant& constant) {
  const NonFinite& found = constant.found;
  std::string what;
  if (found.nans > 0) what = fmt::format("{} NaN", found.nans);
  if (found.infinities > 0) {
    what += fmt::format("{}{} infinite", what.empty() ? "" : " and ", found.infinities);
  }
  return fmt::format("'{}' {}: {}, the first at {}", constant.name, to_string(constant.shape), what,
                     to_string(index_of_element(found.first, constant.shape)));
}

// Larger models are opened in milliseconds, which reading all weights would undo.
constexpr uint64_t kMostSearched = uint64_t{1} << 30;

bool searches_weights(const Facts& facts) {
  uint64_t bytes = 0;
  for (const auto& [dtype, size] : facts.weight_bytes) bytes += size;
  return bytes <= kMostSearched;
}

std::string domain_name(const std::string& domain) { return domain.empty() ? "ai.onnx" : domain; }

void print_json(const std::string& path, const Model& model, uint64_t bytes,
                const std::vector<std::string>& faults) {
  const Origin origin = origin_of(model);
  const Facts facts = facts_of(model, faults.empty());
  Json json = {{"path", path}, {"bytes", bytes}, {"ir_version", model.ir_version}};
  json["opsets"] = Json::object();
  for (const auto& [domain, version] : model.opsets) json["opsets"][domain_name(domain)] = version;
  json["producer"] = {{"name", origin.producer}, {"version", origin.producer_version}};
  json["inputs"] = json["outputs"] = Json::array();
  for (const Value* value : fed_inputs(model)) json["inputs"].push_back(json_of(*value));
  for (const Value* value : model.graph->outputs()) json["outputs"].push_back(json_of(*value));
  json["nodes"] = facts.nodes;
  json["functions"] = model.functions.size();
  json["ops"] = facts.ops;
  json["parameters"] = facts.parameters;
  json["weight_bytes"] = facts.weight_bytes;
  json["macs"] = facts.macs ? Json(*facts.macs) : Json();
  json["quantized"] = facts.quantized;
  json["not_finite"] = searches_weights(facts) ? Json::array() : Json();
  if (searches_weights(facts)) {
    for (const NonFiniteConstant& constant : non_finite_constants(model)) {
      json["not_finite"].push_back(json_of(constant));
    }
  }
  json["metadata"] = Json::object();
  for (const auto& [key, value] : model.metadata) json["metadata"][key] = value;
  json["faults"] = faults;
  // Names in a model need not be UTF-8.
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

std::string format_count(int64_t count) {
  if (count >= 1'000'000'000) return fmt::format("{:.2f} G", static_cast<double>(count) / 1e9);
  if (count >= 1'000'000) return fmt::format("{:.2f} M", static_cast<double>(count) / 1e6);
  return std::to_string(count);
}

void print_text(const std::string& path, const Model& model, uint64_t bytes,
                const std::vector<std::string>& faults) {
  const Origin origin = origin_of(model);
  const Facts facts = facts_of(model, faults.empty());
  const auto line = [](const char* name, const std::string& text) {
    fmt::print("{:<12}{}\n", name, text);
  };
  line("model", path);
  line("size", format_bytes(bytes));
  std::string opsets;
  for (const auto& [domain, version] : model.opsets) {
    opsets += fmt::format("{}{} {}", opsets.empty() ? "" : ", ", domain_name(domain), version);
  }
  line("opset", fmt::format("{} (IR version {})", opsets, model.ir_version));
  if (!origin.producer.empty()) line("producer", origin.producer + " " + origin.producer_version);
  for (const Value* value : fed_inputs(model)) {
    line("input", value->name() + ": " + to_string(value->type));
  }
  for (const Value* value : model.graph->outputs()) {
    line("output", value->name() + ": " + to_string(value->type));
  }
  line("parameters", format_count(facts.parameters));
  for (const auto& [dtype, size] : facts.weight_bytes) {
    line("weights", fmt::format("{} {}", format_bytes(size), dtype));
  }
  line("MACs", facts.macs ? format_count(*facts.macs) + " a run, open extents taken as 1"
                          : "not known: a shape is not");
  line("quantized", facts.quantized ? "yes" : "no");
  const bool searched = searches_weights(facts);
  if (!searched) line("not finite", "not looked for in weights of more than 1 GB");
  const auto not_finite = searched ? non_finite_constants(model) : std::vector<NonFiniteConstant>();
  for (size_t i = 0; i < not_finite.size(); ++i) {
    if (i == kMostListed) {
      line("not finite", fmt::format("and {} more (--json lists all)", not_finite.size() - i));
      break;
    }
    line("not finite", text_of(not_finite[i]));
  }
  for (const std::string& fault : faults) line("fault", fault);
  line("nodes", std::to_string(facts.nodes));
  std::vector<std::pair<std::string, int64_t>> ops(facts.ops.begin(), facts.ops.end());
  std::ranges::stable_sort(ops, [](const auto& a, const auto& b) { return a.second > b.second; });
  for (const auto& [op, count] : ops) fmt::print("{:>10}  {}\n", count, op);
}

}  // namespace

Action declare_inspect(CLI::App& app) {
  struct Arguments {
    std::string path;
    bool json = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  app.add_option("MODEL", arguments->path, "An ONNX file")->required();
  app.add_flag("--json", arguments->json, "As JSON");
  return [arguments]() -> int {
    const Model model = load_model(arguments->path);
    const uint64_t bytes = file_bytes(arguments->path, model);
    const std::vector<std::string> faults = find_faults(model);
    (arguments->json ? print_json : print_text)(arguments->path, model, bytes, faults);
    if (faults.empty()) return kDone;
    throw BadModel(
        fmt::format("{} is not valid; the other verbs refuse it: {}{}", arguments->path, faults[0],
                    faults.size() == 1 ? "" : fmt::format(" (and {} more)", faults.size() - 1)));
  };
}

}  // namespace dwindle::cli

#include "python/bindings/passes.h"

#include <fmt/format.h>
#include <pybind11/stl.h>

#include <set>

#include "core/ir/verify.h"
#include "core/onnx/onnx.h"
#include "core/runtime/compare.h"
#include "core/runtime/same_outputs.h"
#include "core/support/error.h"
#include "passes/describe.h"
#include "passes/quantize/parameters.h"
#include "passes/quantize/quantize.h"
#include "python/bindings/arrays.h"
#include "python/bindings/datasets.h"
#include "python/bindings/model.h"
#include "python/bindings/onnx_runtime.h"
#include "python/bindings/progress.h"
#include "python/bindings/released_gil.h"

namespace py = pybind11;

namespace dwindle {
namespace {

using PyModelPtr = std::shared_ptr<PyModel>;

constexpr const char* kUnchecked = "check=False does without";

bool is_bool(py::handle value) {
  if (py::isinstance<py::bool_>(value)) return true;
  const char* type = Py_TYPE(value.ptr())->tp_name;
  return std::string_view(type) == "numpy.bool" || std::string_view(type) == "numpy.bool_";
}

passes::OptionValue to_option(const std::string& name, py::handle value) {
  if (is_bool(value)) return py::bool_(py::reinterpret_borrow<py::object>(value)).cast<bool>();
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  if (py::hasattr(value, "__fspath__")) return value.attr("__fspath__")().cast<std::string>();
  if (PyIndex_Check(value.ptr()) != 0) {
    const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    int overflow = 0;
    const int64_t integer = index ? PyLong_AsLongLongAndOverflow(index.ptr(), &overflow) : 0;
    if (!index) throw py::error_already_set();
    if (overflow == 0) return integer;
    throw BadOption("option '" + name + "' is " + std::string(py::str(value)) +
                    ", which no integer of 64 bits holds");
  }
  if (PyFloat_Check(value.ptr()) || py::hasattr(value, "__float__")) return value.cast<double>();
  if (py::isinstance<py::sequence>(value)) {
    std::vector<std::string> texts;
    for (py::handle item : value) {
      if (!py::isinstance<py::str>(item)) {
        throw BadOption("option '" + name + "': a list of strings is wanted");
      }
      texts.push_back(item.cast<std::string>());
    }
    return texts;
  }
  throw BadOption("option '" + name + "' cannot be " + std::string(py::repr(value)));
}

// Keyword arguments as options: Python's per_tensor is the registry's per-tensor.
std::map<std::string, passes::OptionValue> to_options(const py::dict& given) {
  std::map<std::string, passes::OptionValue> options;
  for (const auto& [key, value] : given) {
    if (value.is_none()) continue;
    auto name = key.cast<std::string>();
    std::ranges::replace(name, '_', '-');
    options[name] = to_option(name, value);
  }
  return options;
}

DatasetOptions to_dataset_options(const py::dict& given) {
  DatasetOptions options;
  const auto numbers = [](py::handle value) {
    if (py::isinstance<py::sequence>(value)) return value.cast<std::vector<float>>();
    return std::vector<float>{value.cast<float>()};
  };
  for (const auto& [key, value] : given) {
    if (value.is_none()) continue;
    const auto name = key.cast<std::string>();
    if (name == "labels") options.labels = value.cast<std::string>();
    if (name == "layout") options.layout = value.cast<std::string>();
    if (name == "mean") options.mean = numbers(value);
    if (name == "std") options.std = numbers(value);
  }
  return options;
}

// Runs a recipe that needs no data; with `check`, both models on random inputs after it.
PyModelPtr run_checked(const PyModelPtr& original, const passes::Recipe& recipe, bool check,
                       const py::object& progress) {
  PythonProgress reporter(progress);
  OnnxRuntimeFallback fallback;
  Model result;
  std::vector<passes::PassReport> reports;
  std::optional<SameOutputs> proof;
  {
    const ReleasedGil released;
    verify(original->model());
    result = original->model().clone();
    passes::PassContext context{nullptr, &reporter};
    reports = passes::run_recipe(result, recipe, context);
    if (check) {
      proof = checked_same_outputs(original->model(), result, kUnchecked,
                                   {.executors = fallback.executors()});
    }
  }
  fallback.tell(reports);
  return std::make_shared<PyModel>(std::move(result), std::move(reports), std::nullopt,
                                   std::move(proof));
}

PyModelPtr simplify(py::handle model, bool check, const py::object& progress) {
  const PyModelPtr original = to_model(model);
  {
    const ReleasedGil released;
    verify(original->model());
    passes::require_sound_weights(original->model());
  }
  PyModelPtr result = run_checked(original, passes::simplify_recipe(), check, progress);
  if (result->proof() && !result->proof()->same) {
    throw Error("the result differs from the original: " + result->proof()->summary());
  }
  return result;
}

// Runs a recipe, with data where there is any; Ctrl-C and errors of the data's own Python code pass
// through.
PyModelPtr run_calibrated(const PyModelPtr& original, const passes::Recipe& recipe,
                          const py::object& calib, const DatasetOptions& data_options,
                          std::optional<double> max_drop, const py::object& progress,
                          bool check = true) {
  const std::unique_ptr<Dataset> data =
      calib.is_none() ? nullptr : to_dataset(calib, original->model(), data_options);
  PythonProgress reporter(progress);
  OnnxRuntimeFallback fallback;
  Model result;
  passes::ProvenResult proven;
  {
    const ReleasedGil released;
    verify(original->model());
    result = original->model().clone();
    fallback.complete_types(result);
    passes::ProofOptions proof;
    proof.max_drop = max_drop;
    proof.run = check;
    proven = data
                 ? passes::run_with_calibration(result, recipe, *data, proof, &reporter,
                                                fallback.executors())
                 : passes::run_without_data(result, recipe, proof, &reporter, fallback.executors());
  }
  fallback.tell(proven.passes);
  if (!proven.unproven.empty() && !proven.passes.empty()) {
    proven.passes.back().result.notes.push_back("not run beside the original: " + proven.unproven);
  }
  if (!proven.within_bound) {
    throw BoundMissed(
        fmt::format("the top class changes in {:.2f} % of the samples, more than the "
                    "{:.2f} % that max_drop allows",
                    100 * *proven.quality->top1_drop(), 100 * *max_drop));
  }
  return std::make_shared<PyModel>(std::move(result), std::move(proven.passes),
                                   std::move(proven.quality));
}

PyModelPtr quantize(py::handle model, const py::object& calib, const py::dict& options,
                    const py::dict& data_options, std::optional<double> max_drop,
                    const py::object& progress) {
  if (max_drop && !(*max_drop >= 0 && *max_drop <= 1)) {
    throw BadOption("max_drop is a share between 0 and 1");
  }
  const passes::Recipe recipe = passes::quantize_recipe(to_options(options));
  if (calib.is_none() && passes::needs_calibration(recipe)) {
    throw BadOption(
        "calib is required: ranges of activations come from data (quantize weights "
        "alone with activations='none')");
  }
  return run_calibrated(to_model(model), recipe, calib, to_dataset_options(data_options), max_drop,
                        progress);
}

PyModelPtr run_recipe(py::handle model, const std::string& recipe_json, const py::object& calib,
                      const py::dict& data_options, bool check, const py::object& progress) {
  const passes::Recipe recipe = passes::parse_recipe(recipe_json);
  const PyModelPtr original = to_model(model);
  if (!calib.is_none() || passes::quantizes(recipe)) {
    return run_calibrated(original, recipe, calib, to_dataset_options(data_options), std::nullopt,
                          progress, check);
  }
  // A recipe may change numbers on purpose, so what is found is told, not judged.
  return run_checked(original, recipe, check, progress);
}

py::list scores_to_python(const std::vector<ModelScore>& scores) {
  py::list rows;
  for (const ModelScore& score : scores) {
    py::list outputs;
    for (const OutputAgreement& output : score.outputs) {
      outputs.append(py::dict(py::arg("name") = output.output, py::arg("sqnr_db") = output.sqnr_db,
                              py::arg("runs") = output.feeds,
                              py::arg("runs_of_another_shape") = output.unlike,
                              py::arg("top1_agreement") = output.top1));
    }
    rows.append(py::dict(py::arg("model") = score.name, py::arg("bytes") = score.bytes,
                         py::arg("accuracy") = score.accuracy,
                         py::arg("latency_ms") = score.latency_ms, py::arg("outputs") = outputs));
  }
  return rows;
}

py::list compare(const py::list& models, const std::vector<std::string>& names,
                 const py::object& data, const py::dict& data_options, int runs,
                 const py::object& progress) {
  std::vector<PyModelPtr> loaded;
  std::vector<NamedModel> named;
  for (size_t i = 0; i < models.size(); ++i) {
    loaded.push_back(to_model(models[i]));
    const Model& model = loaded.back()->model();
    named.push_back({names.at(i), &model, serialized_size(model)});
  }
  const std::unique_ptr<Dataset> dataset =
      to_dataset(data, *named.at(0).model, to_dataset_options(data_options));
  PythonProgress reporter(progress);
  OnnxRuntimeFallback fallback;
  std::vector<ModelScore> scores;
  {
    const ReleasedGil released;
    scores = compare_models(named, *dataset,
                            {.latency_runs = runs, .executors = fallback.executors()}, &reporter);
  }
  fallback.tell();
  return scores_to_python(scores);
}

// The feeds that `data` gives, as (inputs, labels or None, samples): what calibration would see.
py::list feeds(py::handle model, const py::object& data, const py::dict& data_options) {
  const PyModelPtr for_model = to_model(model);
  const auto dataset = to_dataset(data, for_model->model(), to_dataset_options(data_options));
  py::list all;
  while (std::optional<Feed> feed = dataset->next()) {
    const py::object labels =
        feed->labels ? py::object(to_array(*feed->labels)) : py::object(py::none());
    all.append(py::make_tuple(to_arrays(std::move(feed->inputs)), labels, feed->samples));
  }
  return all;
}

// The op types of all nodes, those of nested graphs and local functions too.
std::set<std::string> op_types(py::handle model) {
  const PyModelPtr of = to_model(model);
  std::set<std::string> types;
  auto add = [&](const Graph& graph) {
    for (const Node* node : graph.nodes()) types.insert(node->op_type);
  };
  for_each_graph(*of->model().graph, add);
  for (const Function& function : of->model().functions) for_each_graph(*function.graph, add);
  return types;
}

}  // namespace

void bind_passes(py::module_& module) {
  module.def("passes_json", passes::registry_json);
  module.def("simplify", simplify, py::arg("model"), py::arg("check"), py::arg("progress"));
  module.def("quantize", quantize, py::arg("model"), py::arg("calib"), py::arg("options"),
             py::arg("data_options"), py::arg("max_drop"), py::arg("progress"));
  module.def("run_recipe", run_recipe, py::arg("model"), py::arg("recipe"), py::arg("calib"),
             py::arg("data_options"), py::arg("check"), py::arg("progress"));
  module.def("feeds", feeds, py::arg("model"), py::arg("data"), py::arg("data_options"));
  module.def("op_types", op_types, py::arg("model"));
  module.def("compare", compare, py::arg("models"), py::arg("names"), py::arg("data"),
             py::arg("data_options"), py::arg("runs"), py::arg("progress"));
}

}  // namespace dwindle

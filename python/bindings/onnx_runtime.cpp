#include "python/bindings/onnx_runtime.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "core/onnx/onnx.h"
#include "core/ops/infer.h"
#include "core/runtime/fallback_executor.h"
#include "core/runtime/float_executor.h"
#include "core/support/error.h"
#include "python/bindings/arrays.h"

namespace py = pybind11;

namespace dwindle {
namespace {

// Bytes above which a session reads a file with external data, as protobuf ends at 2 GB.
constexpr uint64_t kMostInMemory = uint64_t{1} << 30;

py::module_ helper() { return py::module_::import("dwindle._onnxruntime"); }

// Calls into Python; what ONNX Runtime raises becomes an Error, interrupts pass through.
template <typename Call>
auto guarded(Call&& call) {
  const py::gil_scoped_acquire gil;
  try {
    return call();
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_Exception)) throw;
    throw Error(std::string("ONNX Runtime: ") + std::string(py::str(error.value())));
  }
}

// A session over a model with some values of its main graph as further outputs.
class Session {
 public:
  Session(const Model& model, const std::vector<const Value*>& shown) {
    Model copy = model.clone();
    for (const Value* value : shown) copy.graph->add_output(copy.graph->find(value->name()));
    // Of a shape without a dtype ONNX Runtime makes no sense; of no type at all it does.
    for (Value* value : copy.graph->values()) {
      if (value->type.is_tensor() && value->type.dtype == DType::kUndefined) value->type = {};
    }
    const bool in_memory = serialized_size(copy) <= kMostInMemory;
    const std::string bytes = in_memory ? serialize_model(copy) : std::string();
    guarded([&] {
      if (in_memory) {
        session_ = helper().attr("Session")(py::bytes(bytes));
        return;
      }
      const py::object folder = py::module_::import("tempfile").attr("TemporaryDirectory")();
      const auto path =
          std::filesystem::path(folder.attr("name").cast<std::string>()) / "model.onnx";
      {
        const py::gil_scoped_release released;
        save_model(copy, path, ExternalData::kAlways);
      }
      session_ = helper().attr("Session")(path.string());
      folder.attr("cleanup")();
    });
  }
  ~Session() {
    const py::gil_scoped_acquire gil;
    session_ = py::object();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  std::vector<Tensor> run(const std::vector<std::string>& names, const TensorMap& feeds) const {
    return guarded([&] {
      const py::list arrays = session_.attr("run")(names, to_arrays(feeds));
      std::vector<Tensor> tensors;
      for (size_t i = 0; i < names.size(); ++i) {
        if (!py::isinstance<py::array>(arrays[i])) refuse_no_tensor("output", names[i]);
        tensors.push_back(to_tensor(arrays[i], names[i]));
      }
      return tensors;
    });
  }

  using OutputType = std::tuple<std::string, std::string, std::optional<py::list>>;
  // Gives the outputs' types to the values of the same name in `graph`, where they are tensors.
  void tell_types(Graph& graph) const {
    guarded([&] {
      for (py::handle row : session_.attr("output_types")()) {
        const auto [name, type, shape] = row.cast<OutputType>();
        Value* value = graph.find(name);
        if (value == nullptr || type != "tensor(float)") continue;
        value->type.dtype = DType::kFloat;
        // An empty list stands for a scalar and for a shape of unknown rank alike.
        const bool known = shape && !shape->empty();
        if (known && !value->type.shape) value->type.shape = to_shape(*shape);
      }
    });
  }

 private:
  static Shape to_shape(const py::list& extents) {
    Shape shape;
    for (py::handle extent : extents) {
      if (py::isinstance<py::int_>(extent)) {
        shape.emplace_back(extent.cast<int64_t>());
      } else {
        shape.push_back(py::isinstance<py::str>(extent) ? Dim::named(extent.cast<std::string>())
                                                        : Dim());
      }
    }
    return shape;
  }

  py::object session_;
};

class OnnxRuntimeExecutor : public Executor {
 public:
  // `refused`: what FloatExecutor said. It is put into `told` where ONNX Runtime takes the model.
  OnnxRuntimeExecutor(const Model& model, std::string refused, std::shared_ptr<std::string> told)
      : model_(model), refused_(std::move(refused)), told_(std::move(told)) {}

  TensorMap run(const TensorMap& feeds) override {
    for (const Value* input : model_.graph->inputs()) {
      auto fed = feeds.find(input->name());
      if (fed != feeds.end()) check_feed(*input, fed->second);
    }
    std::vector<std::string> names;
    for (const Value* output : model_.graph->outputs()) names.push_back(output->name());
    for (const Value* value : computed_) names.push_back(value->name());
    const std::vector<Tensor> tensors = run_session(names, feeds);
    TensorMap outputs, all;
    for (size_t i = 0; i < names.size(); ++i) {
      if (i < model_.graph->outputs().size()) outputs.emplace(names[i], tensors[i]);
      all.emplace(names[i], tensors[i]);
    }
    for (const auto& [name, tensor] : feeds) all.emplace(name, tensor);
    for (const Value* value : watched_) {
      auto tensor = all.find(value->name());
      if (tensor != all.end()) watcher_(*value, tensor->second);
    }
    return outputs;
  }

  void watch(const std::vector<const Value*>& values, Watcher watcher) override {
    watcher_ = std::move(watcher);
    watched_.clear();
    computed_.clear();
    session_.reset();
    const std::unordered_set<const Value*> wanted(values.begin(), values.end());
    for (const Value* input : model_.graph->inputs()) {
      if (wanted.contains(input)) watched_.push_back(input);
    }
    for (const Node* node : model_.graph->nodes()) {
      for (const Value* output : node->outputs()) {
        if (output == nullptr || !wanted.contains(output)) continue;
        watched_.push_back(output);
        if (!output->is_graph_output()) computed_.push_back(output);
      }
    }
  }

  std::string blind_to(const Value& value) const override {
    if (value.graph() == model_.graph.get()) return {};
    return "it is in a branch or a loop, where ONNX Runtime, which ran the model, shows no values";
  }

 private:
  std::vector<Tensor> run_session(const std::vector<std::string>& names, const TensorMap& feeds) {
    try {
      if (!session_) session_ = std::make_unique<Session>(model_, computed_);
      std::vector<Tensor> tensors = session_->run(names, feeds);
      if (told_->empty()) *told_ = refused_;
      return tensors;
    } catch (const Error& error) {
      throw Unsupported(refused_ + "; " + error.what());
    }
  }

  const Model& model_;
  const std::string refused_;
  const std::shared_ptr<std::string> told_;
  std::unique_ptr<Session> session_;
  std::vector<const Value*> watched_;   // in the order in which they are computed
  std::vector<const Value*> computed_;  // of these, the ones that are no inputs or outputs
  Watcher watcher_;
};

}  // namespace

MakeExecutor OnnxRuntimeFallback::executors() {
  return [told = refused_](const Model& model) -> std::unique_ptr<Executor> {
    return std::make_unique<FallbackExecutor>(
        model, [told](const Model& whole, const std::string& what) {
          check_all_tensors(whole);
          const bool available = guarded([] { return helper().attr("available")().cast<bool>(); });
          if (!available) {
            throw Unsupported(what + ". Where onnxruntime is installed, it runs such models");
          }
          return std::make_unique<OnnxRuntimeExecutor>(whole, what, told);
        });
  };
}

void OnnxRuntimeFallback::complete_types(Model& model) {
  try {
    make_float_executor(model);
    return;
  } catch (const Unsupported&) {
    if (!guarded([] { return helper().attr("available")().cast<bool>(); })) return;
  }
  Model typed = model.clone();
  infer_shapes(typed);
  std::vector<const Value*> unknown;
  for (const Node* node : typed.graph->nodes()) {
    for (const Value* output : node->outputs()) {
      const bool known = output == nullptr || output->type.dtype != DType::kUndefined;
      if (!known && output->type.is_tensor() && !output->is_graph_output()) {
        unknown.push_back(output);
      }
    }
  }
  if (unknown.empty()) return;
  try {
    Session(typed, unknown).tell_types(*model.graph);
  } catch (const Error&) {
    // Where the model must run, the executor says what both have against it.
  }
}

std::string OnnxRuntimeFallback::note() const {
  return "ONNX Runtime ran the model, as Dwindle cannot: " + *refused_;
}

void OnnxRuntimeFallback::tell(std::vector<passes::PassReport>& reports) const {
  if (!refused_->empty() && !reports.empty()) {
    auto report = std::find_if(reports.begin(), reports.end(), [](const passes::PassReport& pass) {
      return pass.result.counts.contains("calibration samples");
    });
    (report == reports.end() ? reports.back() : *report).result.notes.push_back(note());
  }
  tell();
}

void OnnxRuntimeFallback::tell() const {
  if (refused_->empty()) return;
  if (PyErr_WarnEx(PyExc_UserWarning, note().c_str(), 2) != 0) throw py::error_already_set();
}

}  // namespace dwindle

#include "python/bindings/model.h"

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "core/onnx/onnx.h"
#include "core/support/error.h"
#include "core/support/utf8.h"
#include "python/bindings/arrays.h"
#include "python/bindings/released_gil.h"

namespace py = pybind11;

namespace dwindle {

TensorMap PyModel::run(const TensorMap& feeds) {
  std::lock_guard lock(mutex_);
  if (!executor_) executor_ = std::make_unique<FloatExecutor>(model_);
  return executor_->run(feeds);
}

namespace {

// Name and type of a graph input or output, as Python sees it.
struct TensorInfo {
  std::string name;
  ValueType type;
};

py::object shape_of(const TensorInfo& info) {
  if (!info.type.shape) return py::none();
  py::list shape;
  for (const Dim& dim : *info.type.shape) {
    if (dim.known()) {
      shape.append(dim.extent);
    } else if (!dim.symbol.empty()) {
      shape.append(dim.symbol);
    } else {
      shape.append(py::none());
    }
  }
  return py::tuple(shape);
}

py::object dtype_of(const TensorInfo& info) {
  if (info.type.dtype == DType::kUndefined) return py::none();
  return py::str(std::string(dtype_name(info.type.dtype)));
}

// Inputs with a default value need not be fed and are left out, as in ONNX Runtime.
std::vector<TensorInfo> inputs_of(const PyModel& self) {
  std::vector<TensorInfo> infos;
  for (const Value* value : self.model().graph->inputs()) {
    if (value->initializer() == nullptr) infos.push_back({value->name(), value->type});
  }
  return infos;
}

std::vector<TensorInfo> outputs_of(const PyModel& self) {
  std::vector<TensorInfo> infos;
  for (const Value* value : self.model().graph->outputs()) {
    infos.push_back({value->name(), value->type});
  }
  return infos;
}

std::vector<std::string> initializers_of(const PyModel& self) {
  std::vector<std::string> names;
  for (const Value* value : self.model().graph->initializers()) names.push_back(value->name());
  return names;
}

py::array initializer(const PyModel& self, const std::string& name) {
  const Value* value = self.model().graph->find(name);
  if (value != nullptr && value->initializer() != nullptr) return to_array(*value->initializer());
  if (value != nullptr && value->sparse_initializer() != nullptr) {
    return to_array(value->sparse_initializer()->to_dense());
  }
  throw py::key_error("the model has no initializer '" + name + "'");
}

// Names become str. Strings of ONNX are UTF-8; only damaged files hold others.
Model with_readable_names(Model model) {
  const auto check = [](const std::string& name) {
    if (!is_utf8(name)) throw BadModel("the name '" + name + "' in the model is not UTF-8");
  };
  const auto check_graph = [&](Graph& graph) {
    for (const Value* value : graph.values()) {
      check(value->name());
      if (!value->type.shape) continue;
      for (const Dim& dim : *value->type.shape) check(dim.symbol);
    }
    for (const Node* node : graph.nodes()) {
      check(node->name);
      check(node->op_type);
      check(node->domain);
    }
  };
  for_each_graph(*model.graph, check_graph);
  for (const Function& function : model.functions) {
    check(function.domain);
    check(function.name);
    for_each_graph(*function.graph, check_graph);
  }
  for (const auto& [key, value] : model.metadata) {
    check(key);
    check(value);
  }
  return model;
}

std::shared_ptr<PyModel> load(const std::filesystem::path& path) {
  const ReleasedGil released;
  return std::make_shared<PyModel>(with_readable_names(load_model(path)));
}

void save(const PyModel& self, const std::filesystem::path& path,
          const std::string& external_data) {
  ExternalData where = ExternalData::kAuto;
  if (external_data == "never") {
    where = ExternalData::kNever;
  } else if (external_data == "always") {
    where = ExternalData::kAlways;
  } else if (external_data != "auto") {
    throw BadOption("external_data is 'auto', 'never' or 'always', not '" + external_data + "'");
  }
  const ReleasedGil released;
  save_model(self.model(), path, where);
}

std::shared_ptr<PyModel> from_onnx(py::handle proto, const std::filesystem::path& folder) {
  py::object encoded = py::reinterpret_borrow<py::object>(proto);
  if (py::hasattr(proto, "SerializeToString")) encoded = proto.attr("SerializeToString")();
  if (!PyObject_CheckBuffer(encoded.ptr())) {
    throw py::type_error("from_onnx takes an onnx.ModelProto or its bytes, not " +
                         std::string(py::str(py::type::of(proto))));
  }
  const auto view = py::reinterpret_borrow<py::buffer>(encoded).request();
  const auto size = static_cast<size_t>(view.size * view.itemsize);
  const ReleasedGil released;
  return std::make_shared<PyModel>(
      with_readable_names(parse_model({static_cast<const std::byte*>(view.ptr), size}, folder)));
}

py::bytes to_bytes(const PyModel& self) {
  std::string bytes;
  {
    const ReleasedGil released;
    bytes = serialize_model(self.model());
  }
  return py::bytes(bytes);
}

py::object to_onnx(const PyModel& self) {
  py::module_ onnx;
  try {
    onnx = py::module_::import("onnx");
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ImportError)) throw;
    py::raise_from(error, PyExc_ImportError,
                   "to_onnx() returns an onnx.ModelProto and needs the package onnx: "
                   "pip install onnx (to_bytes() does without)");
    throw py::error_already_set();
  }
  return onnx.attr("ModelProto").attr("FromString")(to_bytes(self));
}

py::dict run(PyModel& self, py::handle feeds) {
  const TensorMap inputs = to_tensors(feeds);
  TensorMap outputs;
  {
    const ReleasedGil released;
    outputs = self.run(inputs);
  }
  py::dict arrays;
  for (const Value* output : self.model().graph->outputs()) {
    auto it = outputs.find(output->name());
    if (it == outputs.end()) continue;  // listed twice
    TensorMap one;
    one.insert(outputs.extract(it));
    arrays.attr("update")(to_arrays(std::move(one)));
  }
  return arrays;
}

py::list report_of(const PyModel& self) {
  py::list rows;
  for (const passes::PassReport& report : self.reports()) {
    py::dict row;
    row["pass"] = report.pass;
    row["changed"] = report.result.changed;
    row["counts"] = report.result.counts;
    row["notes"] = report.result.notes;
    row["seconds"] = report.seconds;
    rows.append(row);
  }
  return rows;
}

py::object quality_of(const PyModel& self) {
  if (!self.quality()) return py::none();
  const passes::Quality& quality = *self.quality();
  py::list outputs, nodes;
  for (const OutputAgreement& output : quality.outputs) {
    outputs.append(py::dict(py::arg("name") = output.output, py::arg("sqnr_db") = output.sqnr_db,
                            py::arg("runs") = output.feeds,
                            py::arg("runs_of_another_shape") = output.unlike,
                            py::arg("top1_agreement") = output.top1));
  }
  for (const passes::NodeLoss& loss : quality.worst_nodes) {
    const py::object rounded_for =
        loss.rounded_for.empty() ? py::object(py::none()) : py::str(loss.rounded_for);
    nodes.append(py::dict(py::arg("node") = loss.node, py::arg("op") = loss.op,
                          py::arg("sqnr_db") = loss.sqnr_db, py::arg("lost_db") = loss.lost_db,
                          py::arg("rounded_for") = rounded_for));
  }
  return py::dict(py::arg("samples") = quality.samples, py::arg("random") = quality.random,
                  py::arg("outputs") = outputs, py::arg("worst_nodes") = nodes);
}

py::object proof_of(const PyModel& self) {
  if (!self.proof()) return py::none();
  py::list outputs;
  for (const OutputDifference& output : self.proof()->outputs) {
    outputs.append(py::dict(py::arg("name") = output.name, py::arg("same") = output.same,
                            py::arg("max_absolute") = output.max_absolute,
                            py::arg("max_relative") = output.max_relative));
  }
  return py::dict(py::arg("same") = self.proof()->same, py::arg("random") = self.proof()->random,
                  py::arg("summary") = self.proof()->summary(), py::arg("outputs") = outputs);
}

std::string signature(const std::vector<TensorInfo>& infos) {
  std::string text;
  for (const TensorInfo& info : infos) {
    text += (text.empty() ? "" : ", ") + info.name + ": " + to_string(info.type);
  }
  return text;
}

std::string describe(const PyModel& self) {
  return "<dwindle.Model (" + signature(inputs_of(self)) + ") -> (" + signature(outputs_of(self)) +
         "), " + std::to_string(self.model().graph->num_nodes()) + " nodes>";
}

void bind_tensor_info(py::module_& module) {
  py::class_<TensorInfo>(module, "TensorInfo", "Name, dtype and shape of an input or output.")
      .def_readonly("name", &TensorInfo::name)
      .def_property_readonly("dtype", dtype_of,
                             "Name of the element type, as in numpy and ml_dtypes; None where it "
                             "is not known or no tensor.")
      .def_property_readonly("shape", shape_of,
                             "One entry an axis: an int, the name of a symbolic extent, or None; "
                             "None where not even the rank is known.")
      .def("__repr__",
           [](const TensorInfo& info) {
             return "TensorInfo(" + info.name + ": " + to_string(info.type) + ")";
           })
      .attr("__module__") = "dwindle";
}

}  // namespace

std::shared_ptr<PyModel> to_model(py::handle object) {
  if (py::isinstance<PyModel>(object)) return object.cast<std::shared_ptr<PyModel>>();
  if (py::isinstance<py::str>(object) || py::hasattr(object, "__fspath__")) {
    return load(object.cast<std::filesystem::path>());
  }
  if (py::isinstance<py::bytes>(object) || py::hasattr(object, "SerializeToString")) {
    return from_onnx(object, {});
  }
  throw py::type_error("a model is a dwindle.Model, a path or an onnx.ModelProto, not " +
                       std::string(py::str(py::type::of(object))));
}

void bind_model(py::module_& module) {
  bind_tensor_info(module);
  py::class_<PyModel, std::shared_ptr<PyModel>> model(
      module, "Model", "An ONNX model. It never changes: what changes a model returns a new one.");
  model.attr("__module__") = "dwindle";
  model
      .def("save", save, py::arg("path"), py::kw_only(), py::arg("external_data") = "auto",
           "Writes the model, atomically. external_data: 'auto' keeps large tensors where they "
           "were, 'never' puts all in one file, 'always' puts them in `<path>.data`.")
      .def("run", run, py::arg("feeds"),
           "Runs the model on {input name: array}; returns {output name: array}, in the order of "
           "the model's outputs.")
      .def("to_onnx", to_onnx, "The model as onnx.ModelProto; needs the package onnx.")
      .def("to_bytes", to_bytes, "The model as the bytes of an ONNX file.")
      .def("initializer", initializer, py::arg("name"),
           "A read-only view of a constant; nothing is copied. Raises KeyError.")
      .def_property_readonly("initializers", initializers_of, "Names of all constants.")
      .def_property_readonly("inputs", inputs_of, "The inputs that must be fed.")
      .def_property_readonly("outputs", outputs_of)
      .def_property_readonly("report", report_of,
                             "What each pass did that made this model; empty for a loaded one.")
      .def_property_readonly("quality", quality_of,
                             "What calibrated passes found beside the original; None without.")
      .def_property_readonly("proof", proof_of,
                             "What running it beside the original on random inputs found: same, "
                             "random (only types were compared), summary and outputs; None where "
                             "that was not done.")
      .def_property_readonly(
          "opset", [](const PyModel& self) { return self.model().opset(); }, "Version of ai.onnx.")
      .def_property_readonly(
          "opsets", [](const PyModel& self) { return self.model().opsets; },
          "Versions of all operator sets by domain; ai.onnx is ''.")
      .def_property_readonly("ir_version",
                             [](const PyModel& self) { return self.model().ir_version; })
      .def("__repr__", describe);
  module.def("load", load, py::arg("path"), "Reads an ONNX file.");
  module.def("from_onnx", from_onnx, py::arg("proto"), py::kw_only(),
             py::arg("folder") = std::filesystem::path(),
             "A Model from an onnx.ModelProto or its bytes. External data is looked for in "
             "`folder`.");
}

}  // namespace dwindle

#include "python/bindings/datasets.h"

#include "core/data/model_inputs.h"
#include "core/runtime/compare.h"
#include "core/support/error.h"
#include "python/bindings/arrays.h"
#include "python/bindings/released_gil.h"

namespace py = pybind11;

namespace dwindle {
namespace {

bool is_mapping(py::handle object) {
  return py::isinstance(object, py::module_::import("collections.abc").attr("Mapping"));
}

bool is_array(py::handle object) {
  return py::isinstance<py::array>(object) || py::hasattr(object, "__array__");
}

// Feeds that Python code hands out one by one.
class PythonFeeds : public Dataset {
 public:
  PythonFeeds(py::object source, const Model& model, std::string labels)
      : source_(std::move(source)), inputs_(input_specs(model)), labels_(std::move(labels)) {}

  std::optional<Feed> next() override {
    py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    const py::object item = next_item();
    if (!item) return std::nullopt;
    return to_feed(item);
  }

  int64_t size() const override { return 0; }

 protected:
  // Null at the end.
  virtual py::object next_item() = 0;

  py::object source_;

 private:
  Feed to_feed(const py::object& item) const {
    Feed feed;
    if (is_mapping(item)) {
      feed.inputs = to_tensors(item);
    } else if (is_array(item)) {
      const std::string& name = only_input(inputs_, "an array").name;
      feed.inputs[name] = to_tensor(item, name);
    } else {
      throw BadData(
          "a feed is a dict of arrays by input name, or an array for a model of one "
          "input; got " +
          std::string(py::str(py::type::of(item))));
    }
    if (!labels_.empty()) take_labels(feed);
    check_feed_names(feed);
    feed.samples = feed.labels ? feed.labels->size() : batch_of(feed);
    return feed;
  }

  void take_labels(Feed& feed) const {
    auto node = feed.inputs.extract(labels_);
    if (node.empty()) throw BadData("a feed has no key '" + labels_ + "' for the classes");
    const Tensor labels = to_labels(node.mapped(), labels_, "a feed");
    feed.labels = labels.reshaped({labels.size()});
  }

  void check_feed_names(const Feed& feed) const {
    std::vector<std::string> keys;
    for (const auto& [key, tensor] : feed.inputs) keys.push_back(key);
    check_keys(inputs_, keys, "a feed");
  }

  std::vector<InputSpec> inputs_;
  std::string labels_;
};

class IterableFeeds : public PythonFeeds {
 public:
  IterableFeeds(py::object source, const Model& model, std::string labels)
      : PythonFeeds(std::move(source), model, std::move(labels)), iterator_(py::iter(source_)) {}

  bool rewind() override {
    py::gil_scoped_acquire gil;
    if (iterator_.is(source_)) return false;
    iterator_ = py::iter(source_);
    return true;
  }
  int64_t size() const override {
    py::gil_scoped_acquire gil;
    const Py_ssize_t length = PyObject_LengthHint(source_.ptr(), 0);
    if (length < 0) PyErr_Clear();
    return length < 0 ? 0 : length;
  }

 protected:
  py::object next_item() override {
    PyObject* item = PyIter_Next(iterator_.ptr());
    if (item == nullptr && PyErr_Occurred() != nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(item);
  }

 private:
  py::object iterator_;
};

class GetNextFeeds : public PythonFeeds {
 public:
  using PythonFeeds::PythonFeeds;

  bool rewind() override {
    py::gil_scoped_acquire gil;
    if (!py::hasattr(source_, "rewind")) return false;
    source_.attr("rewind")();
    return true;
  }

 protected:
  py::object next_item() override {
    py::object item = source_.attr("get_next")();
    return item.is_none() ? py::object() : item;
  }
};

}  // namespace

std::unique_ptr<Dataset> to_dataset(py::object data, const Model& model,
                                    const DatasetOptions& options) {
  if (py::isinstance<py::str>(data) || py::hasattr(data, "__fspath__")) {
    const auto path = py::module_::import("os").attr("fspath")(data).cast<std::string>();
    const ReleasedGil released;
    return open_dataset(path, model, options);
  }
  if (!options.mean.empty() || !options.std.empty() || !options.layout.empty()) {
    throw BadOption("mean, std and layout apply to a folder of images");
  }
  if (py::hasattr(data, "get_next")) {
    return std::make_unique<GetNextFeeds>(std::move(data), model, options.labels);
  }
  if (is_mapping(data)) return dataset_from_arrays(to_tensors(data), model, options);
  if (is_array(data)) {
    const std::string name = only_input(input_specs(model), "an array").name;
    return dataset_from_arrays({{name, to_tensor(data, name)}}, model, options);
  }
  if (!py::hasattr(data, "__iter__")) {
    throw py::type_error(
        "data is a path, an array, a dict of arrays, an iterable of dicts or an "
        "object with get_next(), not " +
        std::string(py::str(py::type::of(data))));
  }
  return std::make_unique<IterableFeeds>(std::move(data), model, options.labels);
}

}  // namespace dwindle

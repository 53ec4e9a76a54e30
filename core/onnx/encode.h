// Model to bytes, in pieces: the messages around the tensors, and the tensors where they are in
// memory. Large tensors are never copied; they go from their place to the file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/ir/model.h"
#include "core/onnx/schema.h"

namespace dwindle {

// Takes the next bytes of a file.
using Sink = std::function<void(std::span<const std::byte>)>;

// What goes to the external-data file, and where in it.
class DataLayout {
 public:
  struct Part {
    uint64_t offset;
    Tensor tensor;
  };

  // The offset of the tensor's bytes. Tensors that share their bytes share their place.
  uint64_t place(const Tensor& tensor);
  uint64_t size() const { return size_; }
  bool empty() const { return parts_.empty(); }
  void write(const Sink& sink) const;

 private:
  std::vector<Part> parts_;
  std::map<std::pair<const std::byte*, size_t>, uint64_t> places_;
  uint64_t size_ = 0;
};

// Which tensors go to the external-data file.
struct ExternalPolicy {
  bool mapped = false;   // those that came from one
  bool large = false;    // all of 1 KB or more
  std::string location;  // the file's name
};

// Puts dims, dtype and data into `message`, or only the place of the data where the policy says so.
class TensorWriter {
 public:
  explicit TensorWriter(ExternalPolicy policy) : policy_(std::move(policy)) {}

  void put(const Tensor& tensor, proto::TensorProto& message);
  // The same without the data where it can be streamed; returns whether it must be.
  bool put_all_but_data(const Tensor& tensor, proto::TensorProto& message);
  const DataLayout& layout() const { return layout_; }

 private:
  bool is_external(const Tensor& tensor) const;

  ExternalPolicy policy_;
  DataLayout layout_;
};

void put_graph(const Graph& graph, bool with_initializers, TensorWriter& tensors,
               proto::GraphProto& message);
void put_function(const Function& function, TensorWriter& tensors, proto::FunctionProto& message);
void put_attribute(const Attribute& attribute, TensorWriter& tensors,
                   proto::AttributeProto& message);
void put_value_info(const Value& value, bool with_extra, proto::ValueInfoProto& info);

using OpsetImports = google::protobuf::RepeatedPtrField<proto::OperatorSetIdProto>;
// Updates the imports of the file that was read.
void put_opsets(const std::map<std::string, int64_t>& opsets, OpsetImports& imports);

// A model as the pieces of its file. Holds pointers into `model`.
class EncodedModel {
 public:
  EncodedModel(const Model& model, ExternalPolicy policy);

  uint64_t size() const;  // without external data
  // Raises Error where that is more than one file can hold (2 GB).
  void check_size() const;
  void write(const Sink& sink) const;
  const DataLayout& external() const { return tensors_.layout(); }

 private:
  // An initializer of the outermost graph: `head`, the bytes of `data` as raw_data, `tail`.
  struct Initializer {
    proto::TensorProto head, tail;
    const Tensor* data = nullptr;
    uint64_t size = 0;
  };
  void encode_initializers(const Graph& graph);
  uint64_t graph_size() const;

  TensorWriter tensors_;
  proto::ModelProto head_, tail_;
  proto::GraphProto graph_head_, graph_tail_;
  std::vector<Initializer> initializers_;
};

}  // namespace dwindle

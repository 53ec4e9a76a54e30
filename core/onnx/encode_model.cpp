// Model to the pieces of its file.
//
// ModelProto and its graph are each cut in two around the initializers, in the order of their field
// numbers, so that the pieces one after the other are the bytes that protobuf would write.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <exception>
#include <limits>
#include <set>

#include "core/onnx/encode.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

using google::protobuf::MessageLite;
using google::protobuf::io::CodedOutputStream;

constexpr uint64_t kLargestMessage = std::numeric_limits<int32_t>::max();

constexpr uint32_t length_delimited(int field) { return static_cast<uint32_t>(field) << 3 | 2; }
constexpr uint32_t kGraphTag = length_delimited(proto::ModelProto::kGraphFieldNumber);
constexpr uint32_t kInitializerTag = length_delimited(proto::GraphProto::kInitializerFieldNumber);
constexpr uint32_t kRawDataTag = length_delimited(proto::TensorProto::kRawDataFieldNumber);

// Bytes of a tag and a length, for content of `size`.
uint64_t prefix_size(uint32_t tag, uint64_t size) {
  return CodedOutputStream::VarintSize32(tag) + CodedOutputStream::VarintSize64(size);
}

void write_prefix(uint32_t tag, uint64_t size, const Sink& sink) {
  uint8_t buffer[16];
  uint8_t* end = CodedOutputStream::WriteVarint32ToArray(tag, buffer);
  end = CodedOutputStream::WriteVarint64ToArray(size, end);
  sink(std::as_bytes(std::span(buffer, end)));
}

// Lets protobuf write to a Sink. An exception of the sink waits until protobuf has returned, which
// is not made to be thrown through.
class SinkStream : public google::protobuf::io::CopyingOutputStream {
 public:
  explicit SinkStream(const Sink& sink) : sink_(sink) {}
  bool Write(const void* buffer, int size) override {
    if (error_) return false;
    try {
      sink_({static_cast<const std::byte*>(buffer), static_cast<size_t>(size)});
    } catch (...) {
      error_ = std::current_exception();
    }
    return !error_;
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const Sink& sink_;
  std::exception_ptr error_;
};

void write_message(const MessageLite& message, const Sink& sink) {
  SinkStream stream(sink);
  bool done = false;
  {
    google::protobuf::io::CopyingOutputStreamAdaptor adaptor(&stream, 1 << 16);
    done = message.SerializePartialToZeroCopyStream(&adaptor) && adaptor.Flush();
  }
  stream.rethrow();
  if (!done) throw Error("protobuf could not write the model");
}

}  // namespace

void put_opsets(const std::map<std::string, int64_t>& opsets, OpsetImports& imports) {
  std::set<std::string> written;
  int kept = 0;
  for (int i = 0; i < imports.size(); ++i) {
    proto::OperatorSetIdProto& entry = imports[i];
    const std::string domain = canonical_domain(entry.domain());
    const auto it = opsets.find(domain);
    if (it == opsets.end() || !written.insert(domain).second) continue;
    if (domain.empty() && !entry.domain().empty()) entry.clear_domain();
    entry.set_version(it->second);
    imports.SwapElements(kept++, i);
  }
  imports.DeleteSubrange(kept, imports.size() - kept);
  for (const auto& [domain, version] : opsets) {
    if (written.contains(domain)) continue;
    proto::OperatorSetIdProto& entry = *imports.Add();
    entry.set_domain(domain);
    entry.set_version(version);
  }
}

EncodedModel::EncodedModel(const Model& model, ExternalPolicy policy)
    : tensors_(std::move(policy)) {
  encode_initializers(*model.graph);
  put_graph(*model.graph, /*with_initializers=*/false, tensors_, graph_tail_);
  graph_head_.mutable_node()->Swap(graph_tail_.mutable_node());
  if (graph_tail_.has_name()) graph_head_.set_name(graph_tail_.name());
  graph_tail_.clear_name();

  decode_rest(model.extra, tail_);
  head_.set_ir_version(model.ir_version);
  if (tail_.has_producer_name()) head_.set_producer_name(tail_.producer_name());
  if (tail_.has_producer_version()) head_.set_producer_version(tail_.producer_version());
  if (tail_.has_domain()) head_.set_domain(tail_.domain());
  if (tail_.has_model_version()) head_.set_model_version(tail_.model_version());
  if (tail_.has_doc_string()) head_.set_doc_string(tail_.doc_string());
  tail_.clear_producer_name();
  tail_.clear_producer_version();
  tail_.clear_domain();
  tail_.clear_model_version();
  tail_.clear_doc_string();
  put_opsets(model.opsets, *tail_.mutable_opset_import());
  for (const auto& [key, value] : model.metadata) {
    proto::StringStringEntryProto& entry = *tail_.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  for (const Function& function : model.functions) {
    put_function(function, tensors_, *tail_.add_functions());
  }
}

void EncodedModel::encode_initializers(const Graph& graph) {
  for (const Value* value : graph.initializers()) {
    if (value->initializer() == nullptr) continue;
    Initializer& item = initializers_.emplace_back();
    decode_rest(value->tensor_extra, item.tail);
    item.head.set_name(value->name());
    if (tensors_.put_all_but_data(*value->initializer(), item.head)) {
      item.data = value->initializer();
    }
    // Fields behind raw_data.
    item.tail.mutable_external_data()->Swap(item.head.mutable_external_data());
    if (item.head.has_data_location()) item.tail.set_data_location(item.head.data_location());
    item.head.clear_data_location();
    item.size = item.head.ByteSizeLong() + item.tail.ByteSizeLong();
    if (item.data != nullptr) {
      item.size += prefix_size(kRawDataTag, item.data->nbytes()) + item.data->nbytes();
    }
  }
}

uint64_t EncodedModel::graph_size() const {
  uint64_t size = graph_head_.ByteSizeLong() + graph_tail_.ByteSizeLong();
  for (const Initializer& item : initializers_) {
    size += prefix_size(kInitializerTag, item.size) + item.size;
  }
  return size;
}

uint64_t EncodedModel::size() const {
  const uint64_t graph = graph_size();
  return head_.ByteSizeLong() + prefix_size(kGraphTag, graph) + graph + tail_.ByteSizeLong();
}

void EncodedModel::check_size() const {
  if (size() > kLargestMessage) {
    throw Error("the model takes " + std::to_string(size()) +
                " bytes, but one ONNX file holds 2 GB: its tensors must be external data");
  }
}

void EncodedModel::write(const Sink& sink) const {
  write_message(head_, sink);
  write_prefix(kGraphTag, graph_size(), sink);
  write_message(graph_head_, sink);
  for (const Initializer& item : initializers_) {
    write_prefix(kInitializerTag, item.size, sink);
    write_message(item.head, sink);
    if (item.data != nullptr) {
      write_prefix(kRawDataTag, item.data->nbytes(), sink);
      sink({item.data->bytes(), item.data->nbytes()});
    }
    write_message(item.tail, sink);
  }
  write_message(graph_tail_, sink);
  write_message(tail_, sink);
}

}  // namespace dwindle

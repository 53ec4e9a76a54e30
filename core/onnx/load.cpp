// ModelProto to Model.
#include <limits>
#include <utility>

#include "core/onnx/load_parts.h"
#include "core/onnx/onnx.h"
#include "core/onnx/parse_failure.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

using OpsetImports = google::protobuf::RepeatedPtrField<proto::OperatorSetIdProto>;

// The message keeps its entries, which saving updates: their order survives.
std::map<std::string, int64_t> read_opsets(const OpsetImports& imports) {
  std::map<std::string, int64_t> opsets;
  for (const auto& entry : imports) {
    const auto [it, added] = opsets.emplace(canonical_domain(entry.domain()), entry.version());
    if (entry.version() < 1 || it->second != entry.version()) {
      const std::string domain = it->first.empty() ? "ai.onnx" : it->first;
      throw BadModel("operator set '" + domain + "' is imported " +
                     (added ? "as version " + std::to_string(entry.version()) : "in two versions"));
    }
  }
  return opsets;
}

void load_functions(proto::ModelProto& message, Model& model, ExternalFiles& files) {
  for (auto& item : *message.mutable_functions()) {
    Function& function = model.functions.emplace_back();
    function.name = item.name();
    function.domain = canonical_domain(item.domain());
    function.overload = item.overload();
    function.attributes.assign(item.attribute().begin(), item.attribute().end());
    try {
      function.opsets = read_opsets(item.opset_import());
      load_function(item, function, files);
    } catch (const BadModel& error) {
      throw BadModel("function '" + function.name + "': " + error.what());
    }
    item.clear_attribute();
    if (!item.name().empty()) item.clear_name();
    if (!item.domain().empty()) item.clear_domain();
    if (!item.overload().empty()) item.clear_overload();
    function.extra = encode_rest(item);
  }
  message.clear_functions();
}

Model load(proto::ModelProto& message, ExternalFiles& files) {
  if (!message.has_graph() || !message.has_ir_version()) {
    throw BadModel(std::string("is no ONNX model: it has no ") +
                   (message.has_graph() ? "ir_version" : "graph"));
  }
  Model model;
  model.ir_version = message.ir_version();
  model.opsets = read_opsets(message.opset_import());
  // Versions 1 and 2 of the format had no imports: they meant the first operator set.
  if (model.opsets.empty() && model.ir_version < 3) model.opsets.emplace("", 1);
  if (model.opsets.empty()) throw BadModel("imports no operator set (opset_import is empty)");
  load_graph(*message.mutable_graph(), *model.graph, files);
  message.clear_graph();
  load_functions(message, model, files);
  for (const auto& entry : message.metadata_props()) {
    model.metadata.emplace_back(entry.key(), entry.value());
  }
  message.clear_metadata_props();
  message.clear_ir_version();
  for (auto& training : *message.mutable_training_info()) {
    if (training.has_initialization()) {
      embed_external_data(*training.mutable_initialization(), files);
    }
    if (training.has_algorithm()) embed_external_data(*training.mutable_algorithm(), files);
  }
  model.extra = encode_rest(message);
  return model;
}

}  // namespace

Model parse_model(std::span<const std::byte> bytes, const std::filesystem::path& folder) {
  if (bytes.empty()) throw BadModel("the model is empty (0 bytes)");
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    throw BadModel("is larger than 2 GB, which protobuf cannot read");
  }
  proto::ModelProto message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw BadModel(explain_parse_failure(bytes));
  }
  ExternalFiles files(folder);
  Model model = load(message, files);
  model.external_files = files.paths();
  return model;
}

Model load_model(const std::filesystem::path& path) {
  const std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  const std::filesystem::path folder = path.parent_path();
  try {
    Model model = parse_model(file->bytes(), folder.empty() ? "." : folder);
    model.file = std::filesystem::absolute(path).string();
    return model;
  } catch (const BadModel& error) {
    throw BadModel(path.string() + ": " + error.what());
  }
}

}  // namespace dwindle

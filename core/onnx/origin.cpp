#include "core/onnx/origin.h"

#include "core/onnx/schema.h"

namespace dwindle {

Origin origin_of(const Model& model) {
  proto::ModelProto message;
  decode_rest(model.extra, message);
  return {message.producer_name(), message.producer_version(), message.domain(),
          message.model_version(), message.doc_string()};
}

}  // namespace dwindle

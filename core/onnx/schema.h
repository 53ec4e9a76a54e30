// The protobuf classes of ONNX, and how the IR keeps what it has no field for.
//
// Loading takes the fields that the IR names out of a message; what remains (doc strings, metadata,
// unknown fields) is kept, encoded, in an `extra` string. Saving starts from that message and puts
// the named fields back. A field that is present but empty counts as remaining, so that presence
// survives too.
#pragma once

#include <bit>
#include <string>

#include "onnx_schema.pb.h"

namespace dwindle {

namespace proto = ::dwindle_onnx;

// Tensor bytes are taken from files and written to them as they are.
static_assert(std::endian::native == std::endian::little, "ONNX files are little-endian");

// "" for a message that holds nothing.
inline std::string encode_rest(const google::protobuf::MessageLite& message) {
  return message.ByteSizeLong() == 0 ? std::string() : message.SerializeAsString();
}

// Starts `message` from what encode_rest() kept.
inline void decode_rest(const std::string& extra, google::protobuf::MessageLite& message) {
  if (!extra.empty()) message.ParsePartialFromString(extra);
}

// ONNX gives its own operators two names.
inline std::string canonical_domain(const std::string& domain) {
  return domain == "ai.onnx" ? std::string() : domain;
}

}  // namespace dwindle

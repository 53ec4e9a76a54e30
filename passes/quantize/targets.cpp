// Sources: ONNX Runtime, "Quantize ONNX models" (data types, reduce_range, S8S8 and U8S8);
// OpenVINO, "Low precision transformations"; NVIDIA TensorRT developer guide, "Working with
// quantized types"; the TensorFlow Lite 8-bit quantization specification, which CMSIS-NN, ESP-NN,
// XNNPACK and Ethos-U follow; Qualcomm AI Engine Direct as ONNX Runtime's QNN execution provider
// drives it.
#include "passes/quantize/targets.h"

#include "core/support/error.h"
#include "core/support/nearest.h"

namespace dwindle::passes {
namespace {

constexpr DType kFloats = DType::kUndefined;
constexpr DType kS8 = DType::kInt8, kU8 = DType::kUint8, kS16 = DType::kInt16,
                kU16 = DType::kUint16;
constexpr DType kS4 = DType::kInt4, kS2 = DType::kInt2;

// Of ONNX Runtime 1.31 on CPU: its kernels name the versions of the schema that they are for.
const std::vector<std::string_view> kUntil21 = {
    "GlobalLpPool",     "MaxRoiPool",    "Multinomial",       "RandomNormal",
    "RandomNormalLike", "RandomUniform", "RandomUniformLike", "RoiAlign"};

const std::vector<Target>& rows() {
  static const std::vector<Target> kTargets = {
      {.name = "onnxruntime",
       .summary = "ONNX Runtime on x86 with VNNI, and anything unknown",
       .activations = {kU8, kS8, kU16, kS16, kFloats},
       .weights = {kS8, kS4, kS2},
       .blocks = true,
       .until_21 = kUntil21},
      {.name = "onnxruntime-avx2",
       .summary = "ONNX Runtime on x86 without VNNI",
       .activations = {kU8, kS8, kFloats},
       .weights = {kS8, kS4, kS2},
       .blocks = true,
       .reduce_range = true,
       .until_21 = kUntil21},
      {.name = "onnxruntime-arm",
       .summary = "ONNX Runtime on Arm",
       .activations = {kS8, kU8, kFloats},
       .weights = {kS8, kS4, kS2},
       .blocks = true,
       .until_21 = kUntil21},
      {.name = "openvino",
       .summary = "OpenVINO on CPU",
       .activations = {kU8, kS8, kFloats},
       .weights = {kS8, kS4},
       .blocks = true},
      {.name = "tensorrt",
       .summary = "TensorRT: symmetric int8, biases in float",
       .activations = {kS8, kFloats},
       .symmetric_activations = true,
       .weights = {kS8, kS4},
       .blocks = true,
       .integer_bias = false},
      {.name = "qnn",
       .summary = "Qualcomm NPU by way of ONNX Runtime",
       .activations = {kU8, kU16},
       .weights = {kS8, kS4}},
      {.name = "xnnpack",
       .summary = "XNNPACK and LiteRT",
       .activations = {kS8},
       .weights = {kS8},
       .tflite = true},
      {.name = "cmsis-nn",
       .summary = "CMSIS-NN and TensorFlow Lite Micro on Cortex-M",
       .activations = {kS8, kS16},
       .weights = {kS8, kS4},
       .tflite = true},
      {.name = "esp-nn",
       .summary = "ESP-NN on ESP32",
       .activations = {kS8},
       .weights = {kS8},
       .tflite = true},
      {.name = "ethos-u",
       .summary = "Arm Ethos-U",
       .activations = {kS8, kS16},
       .weights = {kS8},
       .tflite = true},
  };
  return kTargets;
}

}  // namespace

std::vector<std::string> target_names() {
  std::vector<std::string> names;
  for (const Target& target : rows()) names.emplace_back(target.name);
  return names;
}

std::string target_summaries() {
  std::string text;
  for (const Target& target : rows()) {
    text +=
        (text.empty() ? "" : "; ") + std::string(target.name) + ": " + std::string(target.summary);
  }
  return text;
}

const Target& find_target(std::string_view name) {
  for (const Target& target : rows()) {
    if (target.name == name) return target;
  }
  throw BadOption("there is no target '" + std::string(name) + "'" +
                  did_you_mean(name, target_names()));
}

}  // namespace dwindle::passes

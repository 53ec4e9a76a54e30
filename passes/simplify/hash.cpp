#include "passes/simplify/hash.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <span>

#include "core/ir/graph.h"
#include "core/support/file.h"

namespace dwindle::passes {
namespace {

template <typename T>
constexpr bool kHoldsGraphs = std::is_same_v<T, std::unique_ptr<Graph>> ||
                              std::is_same_v<T, std::vector<std::unique_ptr<Graph>>>;

constexpr size_t kSamples = 16, kSample = 4096;  // bytes

uint64_t hash_bytes(uint64_t hash, std::span<const std::byte> bytes) {
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<size_t>(bytes.size(), 8))) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), std::min<size_t>(bytes.size(), 8));
    hash = mix(hash, word);
  }
  return hash;
}

uint64_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

uint64_t hash_one(float value) { return bits_of(value); }
uint64_t hash_one(int64_t value) { return static_cast<uint64_t>(value); }
uint64_t hash_one(const std::string& value) { return std::hash<std::string>()(value); }
uint64_t hash_one(const Tensor& value) { return hash_of(value); }

bool same(float a, float b) { return bits_of(a) == bits_of(b); }
bool same(int64_t a, int64_t b) { return a == b; }
bool same(const std::string& a, const std::string& b) { return a == b; }
bool same(const Tensor& a, const Tensor& b) { return a.identical(b); }

}  // namespace

uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
  return hash ^ (hash >> 32);
}

uint64_t hash_of(const Tensor& tensor) {
  uint64_t hash = static_cast<uint64_t>(tensor.dtype());
  for (int64_t extent : tensor.shape()) hash = mix(hash, static_cast<uint64_t>(extent));
  if (tensor.dtype() == DType::kString) {
    for (const std::string& text : tensor.string_values()) hash = mix(hash, hash_one(text));
    return hash;
  }
  const std::span bytes(tensor.bytes(), tensor.nbytes());
  if (bytes.size() <= kSamples * kSample) return hash_bytes(hash, bytes);
  for (size_t i = 0; i < kSamples; ++i) {
    const auto sample = bytes.subspan((bytes.size() - kSample) / (kSamples - 1) * i, kSample);
    hash = hash_bytes(hash, sample);
  }
  give_back_pages(bytes);  // all: with the samples, the system has read what is around them
  return hash;
}

uint64_t hash_of(const Attribute& attribute) {
  uint64_t hash = mix(hash_one(attribute.name), attribute.value.index());
  std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::monostate> || std::is_same_v<T, OpaqueAttribute> ||
                      kHoldsGraphs<T>) {
          return;
        } else if constexpr (requires { hash_one(value); }) {
          hash = mix(hash, hash_one(value));
        } else {
          for (const auto& item : value) hash = mix(hash, hash_one(item));
        }
      },
      attribute.value);
  return hash;
}

bool equal(const Attribute& a, const Attribute& b) {
  if (a.name != b.name || a.value.index() != b.value.index()) return false;
  if (!a.reference.empty() || !b.reference.empty()) return false;
  return std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        const T& other = std::get<T>(b.value);
        if constexpr (std::is_same_v<T, std::monostate> || std::is_same_v<T, OpaqueAttribute> ||
                      kHoldsGraphs<T>) {
          return false;
        } else if constexpr (requires { same(value, other); }) {
          return same(value, other);
        } else {
          if (value.size() != other.size()) return false;
          for (size_t i = 0; i < value.size(); ++i) {
            if (!same(value[i], other[i])) return false;
          }
          return true;
        }
      },
      a.value);
}

}  // namespace dwindle::passes

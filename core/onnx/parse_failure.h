#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace dwindle {

// Why protobuf could not read `bytes` as a model, for people: truncated, nested too deep, or none
// of these. Walks the encoding without recursion.
std::string explain_parse_failure(std::span<const std::byte> bytes);

}  // namespace dwindle

// Hashes that tell equal tensors and attributes from others quickly.
#pragma once

#include <cstdint>

#include "core/ir/attribute.h"

namespace dwindle::passes {

uint64_t mix(uint64_t hash, uint64_t value);

// Of dtype, shape and bytes; of large tensors only of samples, which tell all but equal weights
// from each other without reading gigabytes.
uint64_t hash_of(const Tensor& tensor);
uint64_t hash_of(const Attribute& attribute);  // 0 for graphs

// Whether both are the same constant. Never for graphs, and for what Dwindle only carries.
bool equal(const Attribute& a, const Attribute& b);

}  // namespace dwindle::passes

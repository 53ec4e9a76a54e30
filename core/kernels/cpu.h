// What this CPU can run, and how one kernel variant is picked from a table of them.
#pragma once

#include <span>
#include <string_view>

namespace dwindle::kernels {

// Instruction sets that variants are compiled for.
enum class Isa { kScalar, kAvx2, kAvx512, kAvx512Vnni, kNeon };

std::string_view isa_name(Isa isa);

// Whether the running CPU and operating system support `isa`.
bool cpu_supports(Isa isa);

// The instruction set forced by the environment variable DWINDLE_ISA, or none.
// Raises BadOption where its value is unknown or this CPU lacks it.
const Isa* forced_isa();

// One row of a kernel family's `variants.cpp`: a best-first array of these is what dispatch, tests
// and benchmarks loop over.
template <typename Fn>
struct Variant {
  std::string_view name;
  Isa isa;
  Fn fn;
};

// The first variant that this CPU runs, honouring DWINDLE_ISA: where the forced instruction set has
// no variant of this family, the best of the lesser ones is taken.
template <typename Fn>
Fn pick(std::span<const Variant<Fn>> best_first) {
  const Isa* forced = forced_isa();
  for (const Variant<Fn>& variant : best_first) {
    if (forced != nullptr && variant.isa > *forced) continue;
    if (cpu_supports(variant.isa)) return variant.fn;
  }
  return best_first.back().fn;
}

}  // namespace dwindle::kernels

#include "core/kernels/cpu.h"

#include <array>
#include <cstdlib>
#include <string>

#include "core/support/error.h"

namespace dwindle::kernels {
namespace {

struct IsaRow {
  Isa isa;
  std::string_view name;
  bool supported;
};

const std::array<IsaRow, 5>& isa_rows() {
#if defined(__x86_64__)
  static const std::array<IsaRow, 5> rows = {{
      {Isa::kScalar, "scalar", true},
      {Isa::kAvx2, "avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
      {Isa::kAvx512, "avx512",
       __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")},
      {Isa::kAvx512Vnni, "avx512vnni",
       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni")},
      {Isa::kNeon, "neon", false},
  }};
#else
  static const std::array<IsaRow, 5> rows = {{
      {Isa::kScalar, "scalar", true},
      {Isa::kAvx2, "avx2", false},
      {Isa::kAvx512, "avx512", false},
      {Isa::kAvx512Vnni, "avx512vnni", false},
#if defined(__aarch64__)
      {Isa::kNeon, "neon", true},
#else
      {Isa::kNeon, "neon", false},
#endif
  }};
#endif
  return rows;
}

const Isa* read_forced_isa() {
  const char* text = std::getenv("DWINDLE_ISA");
  if (text == nullptr || *text == '\0') return nullptr;
  std::string known;
  for (const IsaRow& row : isa_rows()) {
    if (row.name == text) {
      if (row.supported) return &row.isa;
      throw BadOption("DWINDLE_ISA=" + std::string(text) + ": this CPU does not support it");
    }
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw BadOption("DWINDLE_ISA=" + std::string(text) + ": unknown; use one of " + known);
}

}  // namespace

std::string_view isa_name(Isa isa) { return isa_rows()[static_cast<size_t>(isa)].name; }

bool cpu_supports(Isa isa) { return isa_rows()[static_cast<size_t>(isa)].supported; }

const Isa* forced_isa() {
  static const Isa* const forced = read_forced_isa();
  return forced;
}

}  // namespace dwindle::kernels

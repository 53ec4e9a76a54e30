#include "core/kernels/unary_f32/unary_f32.h"

namespace dwindle::kernels {

void unary_f32(const UnaryF32& args) {
  static const UnaryF32Fn best = pick(unary_f32_variants());
  best(args);
}

void unary_rows_f32(const UnaryF32& args, float* values, int64_t rows, int64_t count, int64_t ld) {
  UnaryF32 row = args;
  row.count = count;
  for (int64_t i = 0; i < rows; ++i, values += ld) {
    row.x = row.y = values;
    unary_f32(row);
  }
}

}  // namespace dwindle::kernels

// Products of dense matrices, for MatMul, Gemm and Einsum.
#pragma once

#include <cstdint>

namespace dwindle {

// c[m,n] = op(a)[m,k] · op(b)[k,n], all row-major without gaps; op transposes where asked, so that
// a transposed `a` is stored as [k,m]. k = 0 gives zeros. Integers wrap.
template <typename T>
struct MatrixProduct {
  const T* a;
  const T* b;
  T* c;
  int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
};

void multiply(const MatrixProduct<float>& p);
void multiply(const MatrixProduct<double>& p);
void multiply(const MatrixProduct<int32_t>& p);
void multiply(const MatrixProduct<uint32_t>& p);
void multiply(const MatrixProduct<int64_t>& p);
void multiply(const MatrixProduct<uint64_t>& p);

}  // namespace dwindle

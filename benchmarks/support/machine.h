// What this machine can do at most: the figure that a measured rate is printed beside.
#pragma once

namespace dwindle::bench {

// Single-precision GFLOP/s of one core, measured with independent fused multiply-adds in the widest
// vectors that this CPU has.
double peak_gflops();

}  // namespace dwindle::bench

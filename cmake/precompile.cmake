# dwindle_precompile(TARGET [HEADER...]): parse the headers that nearly every source reads, and those
# listed, once for all sources of TARGET.
#
# A third of a compiler's time here goes into headers of the standard library. Sources still include
# what they use: the preset `tidy` builds without (CMAKE_DISABLE_PRECOMPILE_HEADERS).
function(dwindle_precompile target)
  target_precompile_headers(${target} PRIVATE
    <algorithm> <cmath> <cstdint> <functional> <limits> <map> <memory> <optional> <set> <span>
    <string> <unordered_map> <unordered_set> <vector>
    "${PROJECT_SOURCE_DIR}/core/ir/model.h" ${ARGN})
  if(CCACHE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # ccache takes precompiled headers where it sees which one is used and may ignore time macros.
    target_compile_options(${target} PRIVATE -fpch-preprocess)
    set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros;${CCACHE}")
  endif()
endfunction()

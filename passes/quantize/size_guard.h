// A quantized file is never larger than the float one, unless that was asked for.
#pragma once

#include <string>
#include <vector>

#include "passes/quantize/quantize.h"

namespace dwindle::passes {

// `model` is what `quantization`, the last passes of a recipe, made of `simplified`, and those
// before of `original`. Where nothing was quantized, what the quantization implies is taken back.
// Where the file would be larger, the model becomes what the quantization makes of the weights
// alone, and where that is no smaller either, `simplified` or `original`. `result` gets a note of
// it, and the reports of the passes that were run. With the option may-grow, a note is all.
void undo_where_useless(Model& model, const Model& simplified, const Model& original,
                        const Recipe& quantization, const PassContext& context,
                        ProvenResult& result);

// Notes of the pass that quantized (of the last one, where none did): what comes of it is told
// there. `result` has passes.
std::vector<std::string>& quantizer_notes(ProvenResult& result);

// Whether a pass has quantized anything.
bool has_quantized(const ProvenResult& result);

}  // namespace dwindle::passes

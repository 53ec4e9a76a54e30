// What the verbs print of models.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/ir/model.h"
#include "passes/pipeline.h"

namespace dwindle::cli {

// "879.2 KB", "18.9 MB"; powers of 1000.
std::string format_bytes(uint64_t bytes);

// Left-aligned first column, right-aligned others.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

// Size of a model file with its external data. Raises IoError.
uint64_t file_bytes(const std::filesystem::path& path, const Model& model);

// Prints nodes, ops that became more or fewer, weights and size of both.
void print_change(const Model& before, uint64_t bytes_before, const Model& after,
                  uint64_t bytes_after);

// Prints what each pass that changed something did, and all notes: those that differ in a name
// alone as one, with some of the names.
void print_passes(const std::vector<passes::PassReport>& reports);

// Raises IoError where a file cannot be made there; asked before long work starts.
void require_writable(const std::filesystem::path& path);

}  // namespace dwindle::cli

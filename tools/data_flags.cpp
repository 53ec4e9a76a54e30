#include "tools/data_flags.h"

#include <cstdlib>

namespace dwindle::cli {
namespace {

// More fill no vector unit and no thread better.
constexpr int64_t kMostBatch = 1 << 16;

// Whether `text` is one number or several with commas between.
bool is_numbers(const std::string& text) {
  const char* at = text.c_str();
  while (true) {
    char* end = nullptr;
    std::strtof(at, &end);
    if (end == at) return false;
    if (*end == '\0') return true;
    if (*end != ',') return false;
    at = end + 1;
  }
}

}  // namespace

void add_data_flags(CLI::App& app, DataFlags& flags, const std::string& name, bool required) {
  app.add_option(name, flags.path,
                 "An .npz (a key an input, samples along the first axis), an .npy for one input, a "
                 "folder of .npz (each one feed) or a folder of images")
      ->type_name("DATA")
      ->required(required);
  app.add_option("--labels", flags.options.labels, "Key of the .npz that holds the classes")
      ->type_name("KEY");
  app.add_option("--mean", flags.options.mean,
                 "Images are fed as (pixel - mean) / std: one value, or one a channel")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("X[,X,X]");
  app.add_option("--std", flags.options.std, "See --mean")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("X[,X,X]");
  app.add_option("--layout", flags.options.layout, "Axes of an image input")
      ->check(CLI::IsMember({"nchw", "nhwc"}));
  app.add_option("--batch", flags.options.batch, "Samples in a feed where the model is open to any")
      ->check(CLI::Range(int64_t{1}, kMostBatch))
      ->capture_default_str();
}

std::unique_ptr<Dataset> open(const DataFlags& flags, const Model& model) {
  return open_dataset(flags.path, model, flags.options);
}

std::vector<std::string> join_numbers(const std::vector<std::string>& arguments) {
  std::vector<std::string> joined;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--") {
      joined.insert(joined.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i),
                    arguments.end());
      break;
    }
    joined.push_back(arguments[i]);
    if (arguments[i] != "--mean" && arguments[i] != "--std") continue;
    for (char between = '='; i + 1 < arguments.size() && is_numbers(arguments[i + 1]);
         between = ',') {
      joined.back() += between + arguments[++i];
    }
  }
  return joined;
}

}  // namespace dwindle::cli

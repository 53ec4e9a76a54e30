#include "core/data/open_dataset.h"

#include <algorithm>
#include <cctype>
#include <system_error>

#include "core/data/batching.h"
#include "core/data/folders.h"
#include "core/data/model_inputs.h"
#include "core/support/error.h"

namespace dwindle {
namespace {

std::string lower_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

bool is_image(const std::filesystem::path& path) {
  constexpr std::string_view kExtensions[] = {".jpg", ".jpeg", ".png", ".bmp",
                                              ".ppm", ".pgm",  ".pnm"};
  return std::ranges::count(kExtensions, lower_extension(path)) > 0;
}

std::unique_ptr<Dataset> open_folder(const std::filesystem::path& path, const Model& model,
                                     const DatasetOptions& options) {
  std::vector<std::filesystem::path> archives, images;
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    if (lower_extension(it->path()) == ".npz") archives.push_back(it->path());
    if (is_image(it->path())) images.push_back(it->path());
  }
  if (error) throw IoError("cannot read the folder " + path.string() + ": " + error.message());
  if (!archives.empty() && !images.empty()) {
    throw BadData(path.string() + " holds both .npz files and images; keep them apart");
  }
  std::ranges::sort(archives);
  std::ranges::sort(images);
  if (!archives.empty()) return make_npz_feeds(std::move(archives), model, options);
  if (!images.empty()) return make_image_feeds(std::move(images), model, options);
  throw BadData("the folder " + path.string() +
                (std::filesystem::is_empty(path, error) ? " is empty" : " holds no data") +
                ": .npz files, or images (.jpg, .jpeg, .png, .bmp, .ppm, .pgm, .pnm), are wanted");
}

}  // namespace

std::unique_ptr<Dataset> open_dataset(const std::filesystem::path& path, const Model& model,
                                      const DatasetOptions& options) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw IoError("cannot open " + path.string() + ": " +
                  (error ? error.message() : "No such file or directory"));
  }
  if (std::filesystem::is_directory(status)) return open_folder(path, model, options);
  const std::string extension = lower_extension(path);
  if (extension == ".npz") return make_batches(open_npz(path), model, options, path.string());
  if (extension == ".npy") {
    if (!options.labels.empty()) {
      throw BadOption("an .npy has no key '" + options.labels +
                      "' for the classes; save samples and classes as an .npz");
    }
    ArrayStreams streams;
    streams[only_input(input_specs(model), path.string()).name] = open_npy(path);
    return make_batches(std::move(streams), model, options, path.string());
  }
  throw BadData(path.string() +
                " is no data that can be fed: an .npz, an .npy, a folder of .npz or a folder of "
                "images is wanted");
}

}  // namespace dwindle

#include "passes/quantize/calib_cache.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "core/onnx/onnx.h"
#include "core/support/error.h"
#include "core/support/file.h"

namespace dwindle::passes {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "dwindle-calibration";
constexpr int kVersion = 3;  // counts up where the same data would give other statistics, too

class Hash {
 public:
  Hash() : state_(XXH3_createState()) { XXH3_128bits_reset(state_); }
  ~Hash() { XXH3_freeState(state_); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;

  // Lengths go in before contents, so that what lies side by side cannot be taken for one.
  void add(std::string_view text) {
    add_number(static_cast<int64_t>(text.size()));
    XXH3_128bits_update(state_, text.data(), text.size());
  }
  void add_number(double number) { XXH3_128bits_update(state_, &number, sizeof number); }
  void add(const Tensor& tensor) {
    add(dtype_name(tensor.dtype()));
    add(to_string(tensor.shape()));
    if (tensor.dtype() == DType::kString) {
      for (const std::string& text : tensor.string_values()) add(text);
    } else {
      XXH3_128bits_update(state_, tensor.bytes(), tensor.nbytes());
    }
  }
  std::string hex() const {
    const XXH128_hash_t digest = XXH3_128bits_digest(state_);
    return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
  }

 private:
  XXH3_state_t* state_;
};

void add_model(Hash& hash, const Model& model, const Placement& placement) {
  hash.add(serialize_model(model));
  for (const Value* value : observed_values(placement)) hash.add(value->name());
  for (const auto& [value, axis] : averaged_values(placement)) {
    hash.add(value->name());
    hash.add_number(axis);
  }
}

void add_options(Hash& hash, const ObserverOptions& options, bool channel_means) {
  for (const double number :
       {static_cast<double>(kVersion), static_cast<double>(options.method), options.percentile,
        options.averaging_constant, static_cast<double>(options.dtype),
        static_cast<double>(options.symmetric), static_cast<double>(channel_means)}) {
    hash.add_number(number);
  }
}

// Reads all feeds, and keeps a few of their samples.
void add_data(Hash& hash, Dataset& data, SpreadSamples& some, Progress* progress) {
  size_t samples = 0;
  while (std::optional<Feed> feed = data.next()) {
    hash.add_number(static_cast<double>(feed->samples));
    for (const auto& [name, tensor] : feed->inputs) {
      hash.add(name);
      hash.add(tensor);
    }
    some.take(*feed);
    samples += static_cast<size_t>(feed->samples);
    if (progress != nullptr) {
      progress->update("reading data", samples, static_cast<size_t>(data.size()));
    }
  }
}

class KnownRange : public Observer {
 public:
  KnownRange(float low, float high) : range_{low, high} {}
  void observe(std::span<const float>) override {
    throw std::logic_error("a range from a cache observes nothing");
  }
  Range range() const override { return range_; }
  bool seen() const override { return true; }

 private:
  Range range_;
};

Json to_json(const Statistics& statistics, const Placement& placement, const std::string& hash) {
  Json values = Json::array(), means = Json::array();
  for (const Value* value : observed_values(placement)) {
    const Range range = statistics.observers.at(value)->range();
    Json row = {{"name", value->name()}, {"low", range.low}, {"high", range.high}};
    auto unusable = statistics.unusable.find(value);
    if (unusable != statistics.unusable.end()) row["unusable"] = unusable->second;
    values.push_back(std::move(row));
  }
  for (const auto& [value, axis] : averaged_values(placement)) {
    auto known = statistics.means.find(value);
    std::vector<double> numbers;
    if (known != statistics.means.end()) numbers = known->second.means();
    // JSON has no infinity; a value that holds one is of no use either.
    if (!std::all_of(numbers.begin(), numbers.end(), [](double x) { return std::isfinite(x); })) {
      numbers.clear();
    }
    means.push_back({{"name", value->name()}, {"means", numbers}});
  }
  Json unreached = Json::array();  // one a body
  for (const Graph* body : quantized_bodies(placement)) {
    unreached.push_back(statistics.unreached.contains(body));
  }
  return {
      {"unreached", unreached},        {"format", kFormat}, {"version", kVersion}, {"hash", hash},
      {"samples", statistics.samples}, {"values", values},  {"means", means}};
}

// Raises what nlohmann raises, and std::runtime_error, where `json` is not what to_json() makes.
Statistics from_json(const Json& json, const Placement& placement, bool channel_means) {
  Statistics statistics;
  statistics.samples = json.at("samples").get<int64_t>();
  const auto rows_of = [&](const char* key, size_t count) -> const Json& {
    const Json& rows = json.at(key);
    if (!rows.is_array() || rows.size() != count) {
      throw std::runtime_error(std::string("\"") + key + "\" is not complete");
    }
    return rows;
  };
  const std::vector<Value*> observed = observed_values(placement);
  const Json& values = rows_of("values", observed.size());
  for (size_t i = 0; i < observed.size(); ++i) {
    const float low = values[i].at("low").get<float>(), high = values[i].at("high").get<float>();
    statistics.observers.emplace(observed[i], std::make_unique<KnownRange>(low, high));
    if (values[i].contains("unusable")) {
      statistics.unusable.emplace(observed[i], values[i].at("unusable").get<std::string>());
    }
  }
  const auto averaged = averaged_values(placement);
  const Json& means = rows_of("means", averaged.size());
  for (size_t i = 0; channel_means && i < averaged.size(); ++i) {
    statistics.means.emplace(
        averaged[i].first,
        ChannelMeans(averaged[i].second, means[i].at("means").get<std::vector<double>>()));
  }
  const auto bodies = quantized_bodies(placement);
  const Json& unreached = rows_of("unreached", bodies.size());
  for (size_t i = 0; i < bodies.size(); ++i) {
    if (unreached[i].get<bool>()) statistics.unreached.insert(bodies[i]);
  }
  return statistics;
}

// The cache in the file; raises BadData where it is none.
Json read_cache(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()),
                              file->bytes().size());
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("format", Json()) != kFormat ||
      !json.value("hash", Json()).is_string()) {
    throw BadData("calib-cache: " + path.string() +
                  " is there but is no calibration cache; delete it or name another file");
  }
  return json;
}

void write_cache(const std::filesystem::path& path, const Json& json) {
  AtomicFile file(path);
  file.write(json.dump(1) + "\n");
  file.commit();
}

}  // namespace

CachedCalibration calibrate_cached(const std::filesystem::path& path, const Model& model,
                                   const Placement& placement, Dataset& data,
                                   const ObserverOptions& options, bool channel_means,
                                   Progress* progress, const MakeExecutor& executors) {
  const bool exists = std::filesystem::exists(path);
  const Json cache = exists ? read_cache(path) : Json();
  if (!data.rewind()) {
    throw BadData("calib-cache: the data is read for its hash first, but it can be read only once");
  }
  Hash hash;
  add_options(hash, options, channel_means);
  add_model(hash, model, placement);
  SpreadSamples some;
  add_data(hash, data, some, progress);
  const std::string wanted = hash.hex();
  if (exists && cache.at("hash") == wanted) {
    try {
      CachedCalibration cached{from_json(cache, placement, channel_means),
                               "calibration is that of " + path.string()};
      cached.statistics.some_samples = some.take_all();
      return cached;
    } catch (const std::exception& error) {
      throw BadData("calib-cache: " + path.string() + " is damaged (" + error.what() +
                    "); delete it");
    }
  }
  data.rewind();
  CachedCalibration fresh{
      calibrate(model, placement, data, options, channel_means, progress, executors),
      "calibration is kept in " + path.string()};
  if (exists) fresh.note += ", which was of another model, data or options";
  write_cache(path, to_json(fresh.statistics, placement, wanted));
  return fresh;
}

}  // namespace dwindle::passes

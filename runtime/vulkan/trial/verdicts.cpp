#include "runtime/vulkan/trial/verdicts.h"
#include "runtime/vulkan/device/device_file.h"
#include "support/error.h"
#include "support/json.h"

#include <charconv>
#include <iterator>
#include <optional>

namespace linnet::vulkan {
namespace {

constexpr const char *kKind = "verdicts";
constexpr size_t kMaxTried = 1 << 14;
/// A Verdict's name in the file and its text for users.
struct Name {
  const char *name, *text;
};
constexpr Name kNames[] = {
    {"ok", "right"},         {"wrong", "wrong answer"},     {"refused", "does not compile"},
    {"hangs", "hangs"},      {"loses", "loses the device"}, {"crashes", "crashes the process"},
    {"untried", "not tried"}};
static_assert(std::size(kNames) == static_cast<size_t>(Verdict::untried) + 1);

std::optional<Verdict> verdictOf(const std::string &name) {
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (name == kNames[i].name) return static_cast<Verdict>(i);
  return {};
}

std::optional<uint64_t> hashOf(const std::string &hex) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
  if (error != std::errc() || end != hex.data() + hex.size()) return {};
  return value;
}

std::optional<Tried> triedOf(const Json &json) {
  if (!json.is_object()) return {};
  auto text = [&](const char *key) {
    auto found = json.find(key);
    return found != json.end() && found->is_string() ? std::optional(found->get<std::string>())
                                                     : std::nullopt;
  };
  auto shader = text("shader"), hash = text("hash"), verdict = text("verdict"), detail = text("detail");
  if (!shader || !hash || !verdict) return {};
  auto number = hashOf(*hash);
  auto which = verdictOf(*verdict);
  if (!number || !which) return {};
  return Tried{{*number, *shader}, *which, detail.value_or("")};
}

} // namespace

const char *verdictText(Verdict verdict) { return kNames[static_cast<size_t>(verdict)].text; }

const Tried *Verdicts::find(uint64_t hash) const {
  auto found = list.find(hash);
  return found == list.end() ? nullptr : &found->second;
}

void Verdicts::merge(const Verdicts &other) {
  for (const auto &[hash, tried] : other.list) list[hash] = tried;
}

std::string Verdicts::text() const {
  Json json = Json::array();
  for (const auto &[hash, tried] : list) {
    Json one = {{"shader", tried.variant.shader},
                {"hash", fmt::format("{:016x}", hash)},
                {"verdict", kNames[static_cast<size_t>(tried.verdict)].name}};
    if (!tried.detail.empty()) one["detail"] = tried.detail;
    json.push_back(std::move(one));
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Verdicts> Verdicts::parse(std::string_view text) {
  LINNET_ASSIGN(Json json, parseJson(text, "verdicts", 4, 8));
  if (!json.is_array() || json.size() > kMaxTried) return Error{"verdicts: no list"};
  Verdicts made;
  for (const Json &one : json) {
    auto tried = triedOf(one);
    if (!tried) return Error{"verdicts: no variant with its verdict"};
    made.add(std::move(*tried));
  }
  return made;
}

Verdicts Verdicts::read(const Inventory &inventory) {
  DeviceFile file(inventory, kKind);
  auto data = file.data();
  if (data.empty()) return {};
  auto parsed = parse({reinterpret_cast<const char *>(data.data()), data.size()});
  return parsed ? std::move(*parsed) : Verdicts();
}

Result<void> Verdicts::save(const Inventory &inventory) const {
  const std::string data = text();
  return DeviceFile(inventory, kKind).write(std::as_bytes(std::span(data)));
}

} // namespace linnet::vulkan

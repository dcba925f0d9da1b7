// Base64 of bytes (RFC 4648).
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace linnet::server {

inline std::string base64(std::span<const std::byte> bytes) {
  constexpr const char *kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr size_t kGroup = 3; // bytes that become four digits
  std::string out;
  out.reserve((bytes.size() + 2) / kGroup * 4);
  for (size_t at = 0; at < bytes.size(); at += kGroup) {
    const size_t left = bytes.size() - at;
    auto byte = [&](size_t i) { return i < left ? static_cast<uint32_t>(bytes[at + i]) : 0; };
    const uint32_t group = byte(0) << 16 | byte(1) << 8 | byte(2);
    out += kDigits[group >> 18];
    out += kDigits[group >> 12 & 0x3F];
    out += left > 1 ? kDigits[group >> 6 & 0x3F] : '=';
    out += left > 2 ? kDigits[group & 0x3F] : '=';
  }
  return out;
}

} // namespace linnet::server

// The protocol of every peer's program. It loads its model once. Then it answers each line on stdin with one
// JSON object on one line of stdout, so that bench/compare can run the peers in turns without loading models
// again.
//
//   prefill TOKENS BATCH       {"seconds": S}  BATCH prompts from an empty cache, up to the first new token of each
//   decode PAST COUNT BATCH    {"seconds": S}  COUNT tokens for each of BATCH sequences, after PAST tokens (not timed)
//   logits FILE ID...          {"count": N}    writes the last position's logits, float32, to FILE
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

class Peer {
public:
  virtual ~Peer() = default;
  virtual std::string version() const = 0;
  virtual double prefill(int64_t tokens, int64_t batch) = 0;
  virtual double decode(int64_t past, int64_t count, int64_t batch) = 0;
  virtual std::vector<float> logits(const std::vector<int32_t> &ids) = 0;
};

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Pseudo-random ids below `bound`, the same for every peer.
inline std::vector<int32_t> randomIds(int64_t count, int64_t bound) {
  std::vector<int32_t> ids;
  uint64_t state = 12345;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    ids.push_back(static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(bound)));
  }
  return ids;
}

inline int32_t argmax(const float *logits, int64_t count) {
  // Finds the largest value first and then its index, without branches on the values, so that it is
  // vectorized.
  float largest = logits[0];
  for (int64_t i = 1; i < count; ++i) largest = largest < logits[i] ? logits[i] : largest;
  int64_t at = 0;
  while (at < count - 1 && logits[at] != largest) ++at;
  return static_cast<int32_t>(at);
}

inline std::string escaped(const std::string &text) {
  std::string out;
  for (char c : text)
    if (c == '"' || c == '\\')
      out += '\\', out += c;
    else
      out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  return out;
}

inline std::string answer(Peer &peer, const std::string &line) {
  std::istringstream in(line);
  std::string what;
  in >> what;
  char text[64];
  if (what == "prefill" || what == "decode") {
    int64_t a = 0, b = 0, c = 0;
    bool read = what == "prefill" ? static_cast<bool>(in >> a >> b) : static_cast<bool>(in >> a >> b >> c);
    if (!read || a < 1 || b < 1 || (what == "decode" && c < 1))
      throw std::runtime_error("bad request: " + line);
    double seconds = what == "prefill" ? peer.prefill(a, b) : peer.decode(a, b, c);
    std::snprintf(text, sizeof text, "{\"seconds\": %.9f}", seconds);
    return text;
  }
  if (what == "logits") {
    std::string file;
    in >> file;
    std::vector<int32_t> ids;
    for (int32_t id; in >> id;) ids.push_back(id);
    std::vector<float> values = peer.logits(ids);
    std::ofstream out(file, std::ios::binary);
    out.write(reinterpret_cast<const char *>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(float)));
    out.close();
    if (!out) throw std::runtime_error("cannot write " + file);
    return "{\"count\": " + std::to_string(values.size()) + "}";
  }
  throw std::runtime_error("unknown request: " + line);
}

inline int serve(Peer &peer) {
  std::cout << "{\"version\": \"" << escaped(peer.version()) << "\"}" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "quit") break;
    try {
      std::string reply = answer(peer, line);
      std::cout << reply << std::endl;
    } catch (const std::exception &error) {
      std::cout << "{\"error\": \"" << escaped(error.what()) << "\"}" << std::endl;
    }
  }
  return 0;
}

/// `make` returns a Peer by value. A failure is printed as one line on stderr.
template <typename Make> int serveOrFail(const char *name, Make make) {
  try {
    auto peer = make();
    return serve(*peer);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
    return 1;
  }
}

} // namespace bench

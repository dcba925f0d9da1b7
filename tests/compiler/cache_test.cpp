// The cache of compiled models: found again, and never stale.
#include "compiler/cache.h"
#include "tests/compiler/scratch.h"
#include "tests/folders.h"

#include <fcntl.h>
#include <sys/stat.h>

using namespace linnet;
using namespace linnet::testing;
namespace fs = std::filesystem;

namespace {

struct Cached {
  Cached() {
    setenv("LINNET_CACHE_DIR", scratch.file("cache").c_str(), 1);
    fs::copy(golden("odd"), scratch.file("odd"), fs::copy_options::recursive);
    options.input = scratch.file("odd");
    options.targets = {"reference"};
  }
  CompileReport compile() {
    auto report = api().compileCached(options);
    if (!report) FAIL(report.error().message);
    return *report;
  }
  /// Writes over one byte and puts the old modification time back.
  void damage(const std::string &path, std::streamoff from_end) {
    struct stat st;
    REQUIRE(stat(path.c_str(), &st) == 0);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-from_end, std::ios::end);
    char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(-from_end, std::ios::end);
    file.put(byte);
    file.close();
    timespec times[] = {st.st_atim, st.st_mtim};
    REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
  }
  Scratch scratch;
  CompileOptions options;
};

} // namespace

TEST_CASE("a model that was compiled is found again") {
  Cached cached;
  CompileReport first = cached.compile(), second = cached.compile();
  CHECK_FALSE(first.from_cache);
  CHECK(second.from_cache);
  CHECK(second.output == first.output);
  CHECK(second.artifact_bytes == fs::file_size(first.output));
  CHECK(first.output.find(cached.scratch.file("cache")) == 0);
  // From another path, the same content.
  fs::rename(cached.scratch.file("odd"), cached.scratch.file("moved"));
  fs::create_directory(cached.scratch.file("deep"));
  fs::rename(cached.scratch.file("moved"), cached.scratch.file("deep/odd"));
  cached.options.input = cached.scratch.file("deep/odd");
  CHECK(cached.compile().from_cache);
}

TEST_CASE("a checkpoint is opened once, whatever is tried before it is compiled") {
  Cached cached;
  int opened = 0;
  cached.options.dtype = "auto";
  cached.options.max_divergence = 1e6;
  cached.options.progress = [&](const std::string &what, double) {
    opened += what.find("reading") != what.npos;
  };
  CompileReport report = cached.compile();
  CHECK(report.dtype == "int4");
  CHECK(report.trials.size() == 1);
  CHECK(opened == 1);
}

TEST_CASE("other content, other options: compiled anew") {
  Cached cached;
  std::string first = cached.compile().output;
  SECTION("a weight changed, its file's size and time of modification did not") {
    cached.damage(cached.scratch.file("odd/model.safetensors"), 2);
    CompileReport report = cached.compile();
    CHECK_FALSE(report.from_cache);
    CHECK(report.output != first);
  }
  SECTION("the config changed") {
    std::string config = readAll(cached.scratch.file("odd/config.json"));
    size_t at = config.find("\"layer_norm_epsilon\"");
    REQUIRE(at != config.npos);
    config.replace(at, config.find_first_of(",}", at) - at, "\"layer_norm_epsilon\": 0.125");
    cached.scratch.write("odd/config.json", config);
    CHECK(cached.compile().output != first);
  }
  SECTION("options") {
    cached.options.max_context = 7;
    std::string context = cached.compile().output;
    CHECK(context != first);
    cached.options.max_batch = 2;
    std::string batch = cached.compile().output;
    CHECK(batch != context);
    cached.options.opt_level = 0;
    std::string level = cached.compile().output;
    CHECK(level != batch);
    cached.options.onednn = false;
    std::string without = cached.compile().output;
    CHECK(without != level);
    cached.options.disabled_passes = {"cse"};
    CHECK(cached.compile().output != without);
  }
  SECTION("a damaged artifact") {
    fs::resize_file(first, fs::file_size(first) - 10);
    CompileReport report = cached.compile();
    CHECK_FALSE(report.from_cache);
    CHECK(report.output == first);
    CHECK(cached.compile().from_cache);
  }
}

TEST_CASE("a file's hash is remembered once its time is past doubt, and forgotten when it changes") {
  Cached cached;
  auto cache = CompileCache::open();
  REQUIRE(cache);
  std::string notes = cached.scratch.file("cache/hashes");
  // A fixture of the source tree is old; the copy was made just now.
  REQUIRE(cache->contentHash(cached.scratch.file("odd/config.json")));
  CHECK(fs::is_empty(notes));
  std::string old = "/usr/bin/env";
  auto hash = cache->contentHash(old);
  REQUIRE(hash);
  CHECK_FALSE(fs::is_empty(notes));
  // The note is trusted while nothing changes.
  std::string note = fs::directory_iterator(notes)->path().string(), text = readAll(note);
  std::ofstream(note) << text.substr(0, text.rfind(' ')) << " 0123456789abcdef";
  CHECK(*cache->contentHash(old) == 0x0123456789abcdefULL);
  std::ofstream(note) << "1 2 3 4.5 6.7 0123456789abcdef";
  CHECK(*cache->contentHash(old) == *hash);
  CHECK_FALSE(cache->contentHash("/nowhere/at/all"));
}

TEST_CASE("without any place for a cache, the error names the variables") {
  Cached cached;
  std::string home = getenv("HOME") ? getenv("HOME") : "",
              xdg = getenv("XDG_CACHE_HOME") ? getenv("XDG_CACHE_HOME") : "";
  unsetenv("LINNET_CACHE_DIR");
  unsetenv("HOME");
  unsetenv("XDG_CACHE_HOME");
  std::string message = errorOf(api().compileCached(cached.options));
  if (!home.empty()) setenv("HOME", home.c_str(), 1);
  if (!xdg.empty()) setenv("XDG_CACHE_HOME", xdg.c_str(), 1);
  CHECK(message == "no place for compiled models: none of LINNET_CACHE_DIR, XDG_CACHE_HOME and HOME is set");
}

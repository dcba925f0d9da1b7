#include "frontend/checkpoint/pull.h"
#include "frontend/checkpoint/safetensors.h"
#include "support/json.h"
#include "tests/checkpoint/common.h"
#include "tests/folders.h"

#include <csignal>
#include <sstream>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace linnet;
using namespace linnet::testing;
using Catch::Matchers::Contains;

namespace {

constexpr auto kPause = std::chrono::milliseconds(1);

/// hub.py serving the tiny preset; HF_ENDPOINT names it, and no other setting of the user's is seen.
class HubServer {
public:
  HubServer() {
    REQUIRE(initCheckpoint("tiny", 3, scratch.file("files")));
    REQUIRE(writeTextFile(files() + "/generation_config.json", "{\"eos_token_id\": [3, 256]}\n"));
    int in[2], out[2];
    REQUIRE(pipe(in) == 0);
    REQUIRE(pipe(out) == 0);
    std::string script = sourceFolder() + "/tests/checkpoint/hub.py";
    child = fork();
    if (child == 0) {
      dup2(in[0], 0);
      dup2(out[1], 1);
      for (int fd : {in[0], in[1], out[0], out[1]}) close(fd);
      execlp("python3", "python3", script.c_str(), files().c_str(), scratch.file("log").c_str(), nullptr);
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    stop = in[1];
    FILE *ports = fdopen(out[0], "r");
    REQUIRE(std::fscanf(ports, "%d %d", &hub, &cdn) == 2);
    std::fclose(ports);
    for (const char *name : {"HF_TOKEN", "HF_HUB_OFFLINE", "http_proxy", "all_proxy", "ALL_PROXY"})
      unsetenv(name);
    setenv("HF_ENDPOINT", ("http://127.0.0.1:" + std::to_string(hub) + "/").c_str(), 1);
    setenv("HF_HOME", scratch.file("home").c_str(), 1);
  }
  ~HubServer() {
    close(stop);
    waitpid(child, nullptr, 0);
  }
  std::string files() const { return scratch.file("files"); }
  std::string to(const std::string &name) const { return scratch.file(name); }
  std::string pullError(const std::string &model) const {
    return message(pullCheckpoint("acme/" + model, to(model), {}, kPause));
  }
  /// Requests so far that start with this ("cdn GET"), in order.
  std::vector<std::string> requests(const std::string &start) const {
    std::vector<std::string> found;
    std::istringstream lines(*readTextFile(scratch.file("log")));
    for (std::string line; std::getline(lines, line);)
      if (line.rfind(start, 0) == 0) found.push_back(line);
    return found;
  }
  void checkWhole(const std::string &directory) const {
    std::vector<std::string> names;
    for (auto &entry : std::filesystem::directory_iterator(files())) names.push_back(entry.path().filename());
    size_t found = 0;
    for (auto &entry : std::filesystem::directory_iterator(directory)) {
      CAPTURE(entry.path().string());
      CHECK(*readTextFile(entry.path()) == *readTextFile(files() + "/" + entry.path().filename().string()));
      ++found;
    }
    CHECK(found == names.size());
    CHECK(message(Checkpoint::open(directory)) == "(no error)");
  }
  Scratch scratch;

private:
  pid_t child = -1;
  int stop = -1, hub = 0, cdn = 0;
};

} // namespace

TEST_CASE("pull brings a model, and only once", "[pull]") {
  HubServer server;
  uint64_t last = 0, whole = 0;
  auto progress = [&](uint64_t done, uint64_t total, std::string_view what) {
    if (what != "model.safetensors") return;
    CHECK(done >= last);
    last = done;
    whole = total;
  };
  auto where = pullCheckpoint("acme/plain", server.to("plain"), progress, kPause);
  REQUIRE(message(where) == "(no error)");
  CHECK(*where == server.to("plain"));
  server.checkWhole(*where);
  CHECK(last == std::filesystem::file_size(*where + "/model.safetensors"));
  CHECK(whole == last);
  size_t before = server.requests("cdn GET").size() + server.requests("hub GET").size();
  REQUIRE(server.pullError("plain") == "(no error)");
  // Weights redirect: their GET counts at both.
  CHECK(server.requests("cdn GET").size() + server.requests("hub GET").size() == before);

  REQUIRE(message(pullCheckpoint("acme/renamed", "", {}, kPause)) == "(no error)");
  server.checkWhole(server.to("home/linnet/acme/renamed"));
}

TEST_CASE("pull continues where the connection dropped", "[pull]") {
  HubServer server;
  uint64_t size = std::filesystem::file_size(server.files() + "/model.safetensors"), third = size / 3 + 1;
  REQUIRE(server.pullError("dropping") == "(no error)");
  server.checkWhole(server.to("dropping"));
  auto requests = server.requests("cdn GET");
  REQUIRE(requests.size() == 3);
  CHECK_THAT(requests[1], Contains("bytes=" + std::to_string(third) + "-"));
  CHECK_THAT(requests[2], Contains("bytes=" + std::to_string(2 * third) + "-"));

  // A server that does not resume sends the whole again, in place of what was there.
  REQUIRE(server.pullError("forgetful") == "(no error)");
  server.checkWhole(server.to("forgetful"));
  CHECK(server.requests("cdn GET /forgetful").size() == 2);

  REQUIRE(server.pullError("busy") == "(no error)");
  server.checkWhole(server.to("busy"));
}

TEST_CASE("a call that gave up leaves what the next one continues", "[pull]") {
  HubServer server;
  std::string file = server.to("cut-once") + "/model.safetensors";
  // The disk is full after the first bytes; then there is space again.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = {400'000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  std::string failure = server.pullError("cut-once");
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK_THAT(failure, Contains("model.safetensors.incomplete: cannot write: File too large"));
  CHECK(server.requests("cdn GET").size() == 1); // no use in trying again
  CHECK_FALSE(fileExists(file));
  CHECK(std::filesystem::file_size(file + ".incomplete") == 400'000);
  REQUIRE(server.pullError("cut-once") == "(no error)");
  CHECK_THAT(server.requests("cdn GET")[1], Contains("bytes=400000-"));
  server.checkWhole(server.to("cut-once"));
}

TEST_CASE("what comes damaged never appears under its name", "[pull]") {
  HubServer server;
  CHECK_THAT(server.pullError("damaged"), Contains("SHA-256 is") && Contains("after 5 tries"));
  CHECK_FALSE(fileExists(server.to("damaged") + "/model.safetensors"));
  CHECK_FALSE(fileExists(server.to("damaged") + "/model.safetensors.incomplete"));
  REQUIRE(server.pullError("damaged-once") == "(no error)");
  server.checkWhole(server.to("damaged-once"));
  CHECK_THAT(server.pullError("stuck"), Contains("after 5 tries"));
  CHECK_FALSE(fileExists(server.to("stuck") + "/model.safetensors"));
  CHECK_THAT(server.pullError("broken"), Contains("the server answers 500 (after 5 tries)"));
}

TEST_CASE("the token goes to the hub and nowhere else", "[pull]") {
  HubServer server;
  CHECK_THAT(server.pullError("gated"),
             Contains("the server answers 401") && Contains("HF_TOKEN (which is not set)"));
  setenv("HF_TOKEN", "sesame", 1);
  REQUIRE(server.pullError("gated") == "(no error)");
  server.checkWhole(server.to("gated"));
  unsetenv("HF_TOKEN");
  CHECK_THAT(server.requests("hub GET").back(), Contains("Bearer sesame"));
  REQUIRE(server.requests("cdn").size() > 0);
  for (const std::string &request : server.requests("cdn")) CHECK_THAT(request, !Contains("sesame"));
}

TEST_CASE("shards come by their index", "[pull]") {
  HubServer server;
  auto whole = Checkpoint::open(server.files());
  REQUIRE(whole);
  Json index = {{"weight_map", Json::object()}};
  std::vector<TensorToWrite> parts[2];
  for (const TensorView &view : whole->tensors()) {
    size_t part = view.name[0] == 'h';
    parts[part].push_back(
        {view.name, view.type, view.shape, [view](auto &sink) { return sink(view.bytes); }});
    index["weight_map"][view.name] = part ? "b.safetensors" : "a.safetensors";
  }
  REQUIRE(writeSafetensors(server.files() + "/a.safetensors", parts[0]));
  REQUIRE(writeSafetensors(server.files() + "/b.safetensors", parts[1]));
  std::string index_path = server.files() + "/model.safetensors.index.json";
  REQUIRE(writeTextFile(index_path, index.dump()));
  REQUIRE(server.pullError("sharded") == "(no error)");
  std::filesystem::remove(server.files() + "/model.safetensors");
  server.checkWhole(server.to("sharded"));
  index["weight_map"]["x"] = "../../etc/passwd";
  REQUIRE(writeTextFile(index_path, index.dump()));
  CHECK_THAT(server.pullError("sharded"),
             Contains("\"../../etc/passwd\"") && Contains("does not name a file"));
  index["weight_map"]["x"] = "c.safetensors";
  REQUIRE(writeTextFile(index_path, index.dump()));
  CHECK_THAT(server.pullError("sharded"), Contains("shard c.safetensors is missing on the server"));
  std::filesystem::remove(index_path);
  CHECK_THAT(server.pullError("other"),
             Contains("has none of model.safetensors, pytorch_model.bin, nor an index"));
  REQUIRE(writeTextFile(server.files() + "/pytorch_model.bin", "weights"));
  REQUIRE(server.pullError("pytorch") == "(no error)");
  CHECK(*readTextFile(server.to("pytorch") + "/pytorch_model.bin") == "weights");
  std::filesystem::remove(server.files() + "/config.json");
  CHECK_THAT(server.pullError("absent"), Contains("no such model, or it has no config.json"));
}

TEST_CASE("offline, and names that are none", "[pull]") {
  HubServer server;
  setenv("HF_HUB_OFFLINE", "1", 1);
  CHECK_THAT(server.pullError("plain"),
             Contains("HF_HUB_OFFLINE is set and") && Contains("does not hold acme/plain"));
  CHECK(*pullCheckpoint("acme/plain", server.files()) == server.files());
  unsetenv("HF_HUB_OFFLINE");
  CHECK(server.requests("").empty());
  for (const char *name :
       {"", "../x", "a/../b", "a/b/c", "/a", "a/", ".hidden", "a/.b", "a b", "a\nb", "a?b", "a%2e"})
    CHECK_THAT(message(pullCheckpoint(name, server.to("x"))), Contains("is not the name of a model"));
  setenv("HF_ENDPOINT", "ftp://127.0.0.1", 1);
  CHECK_THAT(server.pullError("plain"),
             Contains("HF_ENDPOINT is expected to be an http:// or https:// address"));
  setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);
  CHECK_THAT(server.pullError("plain"), Contains("after 5 tries"));
  CHECK_THAT(message(pullCheckpoint("acme/plain", server.to("a/b/c"), {}, kPause)),
             Contains("after 5 tries"));
  CHECK_THAT(message(pullCheckpoint("acme/plain", "", {}, kPause)), Contains("after 5 tries"));
  for (const char *name : {"plain", "a", "home"}) CHECK(!fileExists(server.to(name)));
}

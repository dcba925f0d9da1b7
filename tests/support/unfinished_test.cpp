// The next process that writes there removes the files of killed processes, and keeps those of running ones.
#include "support/file.h"
#include "support/scratch_directory.h"
#include "support/unfinished.h"
#include "tests/catch.h"

#include <csignal>
#include <filesystem>
#include <functional>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

using namespace linnet;

namespace {

std::set<std::string> namesIn(const std::string &directory) {
  std::set<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(directory))
    names.insert(entry.path().filename().string());
  return names;
}

/// A process that does something and then waits until it is killed.
class Child {
public:
  explicit Child(const std::function<void()> &act) {
    int done[2];
    REQUIRE(pipe(done) == 0);
    pid = fork();
    if (pid == 0) {
      act();
      (void)!write(done[1], "x", 1);
      for (;;) pause();
    }
    char byte = 0;
    REQUIRE(read(done[0], &byte, 1) == 1);
    close(done[0]);
    close(done[1]);
  }
  void kill() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    pid = 0;
  }
  ~Child() { kill(); }

private:
  pid_t pid = 0;
};

ScratchDirectory scratch() {
  auto made = ScratchDirectory::create("linnet-unfinished-test");
  REQUIRE(made.ok());
  return std::move(*made);
}

} // namespace

TEST_CASE("a killed process's temporary file goes when the file is written again, and no sooner") {
  ScratchDirectory folder = scratch();
  const std::string path = folder.path() + "/model.linnet";
  Child child([&] {
    auto file = new Result<AtomicFile>(AtomicFile::create(path)); // never destroyed: the process is killed
    if (!file->ok() || !(*file)->write("half of it").ok()) _exit(1);
  });
  const std::set<std::string> left = namesIn(folder.path());
  REQUIRE(left.size() == 1);
  CHECK(left.begin()->starts_with("model.linnet.tmp-"));
  REQUIRE(writeTextFile(path, "while it lives").ok());
  CHECK(namesIn(folder.path()).contains(*left.begin()));
  child.kill();
  REQUIRE(writeTextFile(folder.path() + "/other", "another file").ok());
  CHECK(namesIn(folder.path()).contains(*left.begin()));
  REQUIRE(writeTextFile(path, "whole").ok());
  CHECK(namesIn(folder.path()) == std::set<std::string>{"model.linnet", "other"});
  CHECK(*readTextFile(path) == "whole");
}

TEST_CASE("two writers of one file leave each other alone") {
  ScratchDirectory folder = scratch();
  const std::string path = folder.path() + "/f";
  auto first = AtomicFile::create(path), second = AtomicFile::create(path);
  REQUIRE((first.ok() && second.ok()));
  CHECK(namesIn(folder.path()).size() == 2);
  REQUIRE(first->write("first").ok());
  REQUIRE(second->write("second").ok());
  REQUIRE(second->commit().ok());
  REQUIRE(first->commit().ok());
  CHECK(namesIn(folder.path()) == std::set<std::string>{"f"});
  CHECK(*readTextFile(path) == "first");
}

TEST_CASE("only names of temporary files are removed") {
  ScratchDirectory folder = scratch();
  const std::string digits = "0123456789abcdef";
  auto make = [&](const std::string &name) { REQUIRE(writeTextFile(folder.path() + "/" + name, "x").ok()); };
  for (const std::string &name :
       std::vector<std::string>{"a.tmp-" + digits, "b.tmp-" + digits, "a.tmp-0123", "a.tmp-0123456789ABCDEF",
                                "atmp-" + digits, "a.tmp-" + digits + "0"})
    make(name);
  std::filesystem::create_directory(folder.path() + "/c.tmp-" + digits);
  make("c.tmp-" + digits + "/inside");
  std::filesystem::create_symlink("b.tmp-" + digits, folder.path() + "/d.tmp-" + digits);
  removeAbandoned(folder.path(), "a.tmp-");
  CHECK(namesIn(folder.path()).size() == 7);
  CHECK(!fileExists(folder.path() + "/a.tmp-" + digits));
  removeAbandoned(folder.path());
  CHECK(namesIn(folder.path()) == std::set<std::string>{"a.tmp-0123", "a.tmp-0123456789ABCDEF",
                                                        "atmp-" + digits, "a.tmp-" + digits + "0",
                                                        "d.tmp-" + digits});
  for (const std::string &name : namesIn(folder.path())) std::filesystem::remove(folder.path() + "/" + name);
}

TEST_CASE("a killed process's scratch directory goes with the next one of its name") {
  ScratchDirectory parent = scratch();
  const char *before = std::getenv("TMPDIR");
  const std::string old = before ? before : "";
  setenv("TMPDIR", parent.path().c_str(), 1);
  Child child([] {
    auto made = new Result<ScratchDirectory>(ScratchDirectory::create("work"));
    if (!made->ok() || !writeTextFile((*made)->path() + "/file", "x").ok()) _exit(1);
  });
  const std::set<std::string> left = namesIn(parent.path());
  REQUIRE(left.size() == 1);
  { CHECK(ScratchDirectory::create("work").ok()); }
  CHECK(namesIn(parent.path()) == left);
  child.kill();
  { CHECK(ScratchDirectory::create("other").ok()); }
  CHECK(namesIn(parent.path()) == left);
  { CHECK(ScratchDirectory::create("work").ok()); }
  CHECK(namesIn(parent.path()).empty());
  if (before)
    setenv("TMPDIR", old.c_str(), 1);
  else
    unsetenv("TMPDIR");
}

TEST_CASE("directories that stay empty are removed again, with the parents that were made for them") {
  ScratchDirectory folder = scratch();
  const std::string path = folder.path() + "/a/b/c";
  {
    MadeDirectories made;
    REQUIRE(made.make(path + "/").ok());
    CHECK(isDirectory(path));
  }
  CHECK(namesIn(folder.path()).empty());
  {
    MadeDirectories made;
    REQUIRE(made.make(path).ok());
    REQUIRE(writeTextFile(folder.path() + "/a/b/file", "x").ok());
    CHECK_FALSE(made.make(folder.path() + "/a/b/file/d").ok());
  }
  CHECK(namesIn(folder.path() + "/a") == std::set<std::string>{"b"});
  CHECK(namesIn(folder.path() + "/a/b") == std::set<std::string>{"file"});
  { CHECK(MadeDirectories().make(folder.path() + "/a/b").ok()); } // not made here: stays
  CHECK(isDirectory(folder.path() + "/a/b"));
  std::filesystem::remove_all(folder.path() + "/a");
}

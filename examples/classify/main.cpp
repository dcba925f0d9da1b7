// Classifies texts: classify MODEL.linnet TEXT... prints each text's label, its probability and the length of
// its embedding.
#include <linnet/linnet.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

static int fail(const linnet::Error &error) {
  std::fprintf(stderr, "classify: %s\n", error.message.c_str());
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 3) return fail({"usage: classify MODEL.linnet TEXT..."});
  auto model = linnet::Model::load(argv[1]);
  if (!model) return fail(model.error());
  auto session = linnet::Session::open(*model);
  if (!session) return fail(session.error());

  const std::vector<std::string> texts(argv + 2, argv + argc);
  auto answers = session->classify(texts); // texts of like length run together
  if (!answers) return fail(answers.error());
  for (size_t i = 0; i < texts.size(); ++i) {
    const linnet::Classification &answer = (*answers)[i];
    auto vector = session->embed(texts[i], linnet::Pooling::Mean); // a row of floats, for a search index
    if (!vector) return fail(vector.error());
    double squares = 0;
    for (float x : vector->values) squares += static_cast<double>(x) * x;
    std::printf("%s\t%.4f\t%.3f\n", model->config().labels[answer.label].c_str(),
                answer.probabilities[answer.label], std::sqrt(squares));
  }
}

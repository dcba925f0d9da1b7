// Guards of the evaluator's state.
#pragma once
#include "chat/evaluator.h"

namespace linnet::chat {

class Evaluator::Nesting {
public:
  explicit Nesting(Evaluator &evaluator) : evaluator(evaluator) {
    if (evaluator.depth >= kMaxRecursion) throw Fault{"macros call each other too deeply"};
    ++evaluator.depth;
  }
  ~Nesting() { --evaluator.depth; }

private:
  /// Levels of expressions and statements. They need less than 2 MB of stack, with sanitizers, too.
  static constexpr int kMaxRecursion = 600;
  Evaluator &evaluator;
};

class Evaluator::Inside {
public:
  Inside(Evaluator &evaluator, Scope *inner) : evaluator(evaluator), outer(evaluator.scope) {
    evaluator.scope = inner;
  }
  ~Inside() { evaluator.scope = outer; }

private:
  Evaluator &evaluator;
  Scope *outer;
};

} // namespace linnet::chat

// The tokenizer: linnet::Tokenizer, linnet::StreamDecoder.
#pragma once
#include "tokenizer/tokenizer.h"

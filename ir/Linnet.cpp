#include "ir/Linnet.h"

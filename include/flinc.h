/* flinc: stateful stream processing in C. Include this one; the topics lie in flinc/. */
#ifndef FLINC_H
#define FLINC_H

#include "flinc/async.h"
#include "flinc/base.h"
#include "flinc/broadcast.h"
#include "flinc/client.h"
#include "flinc/env.h"
#include "flinc/function.h"
#include "flinc/join.h"
#include "flinc/sink.h"
#include "flinc/source.h"
#include "flinc/state.h"
#include "flinc/stream.h"
#include "flinc/string.h"
#include "flinc/type.h"
#include "flinc/version.h"
#include "flinc/window.h"

#endif

/* flinc: stateful stream processing in C. Include this one; the topics lie in flinc/. */
#ifndef FLINC_H
#define FLINC_H

#include <flinc/version.h>

#endif

#include <flinc/version.h>

const char *fl_version(void)
{
    return FLINC_VERSION;
}

/* Must fail: shows that the fuzz set-up notices a target's failure, and how quickly libFuzzer finds one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 3 && memcmp(data, "BUG", 3) == 0)
        abort();
    return 0;
}

/* The flinc command. */
#include <stdio.h>

int main(void)
{
    printf("flinc %s\n", FLINC_VERSION);
    return 0;
}

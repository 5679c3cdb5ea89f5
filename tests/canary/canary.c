/* usage: canary leak|use_after_free|overflow|race   Does that, and exits with 0: a sanitizer must make it a failure.
 * Without one the tests do not run this. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile int shared;

static void *write_shared(void *unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++)
        shared = i;
    return NULL;
}

static void race(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, write_shared, NULL);
    write_shared(NULL);
    pthread_join(thread, NULL);
}

static void *volatile lost;

/* Many, because the last ones' addresses may linger in registers and on the stack, where the leak check sees them. */
static void leak(void)
{
    for (int i = 0; i < 100; i++)
        lost = malloc(100);
    lost = NULL;
}

static void use_after_free(void)
{
    char *volatile gone = malloc(100);
    free(gone);
    gone[1] = 1; // NOLINT: on purpose; cppcheck-suppress deallocuse
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "leak") == 0)
        leak();
    if (strcmp(what, "use_after_free") == 0)
        use_after_free();
    if (strcmp(what, "overflow") == 0)
        printf("%d\n", INT_MAX - 1 + argc);
    if (strcmp(what, "race") == 0)
        race();
    return 0;
}

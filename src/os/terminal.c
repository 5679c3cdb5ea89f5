#include "os/terminal.h"
#include "os/thread.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

_Atomic bool fl__terminal_has_status;

static fl__mutex lock = FL__MUTEX_INIT; /* guards what is on the screen's last line */

bool fl__terminal_is(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

static void put(const char *text, size_t length)
{
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written; /* a screen that is gone needs no status line */
}

void fl__terminal_status(const char *text)
{
    struct winsize size;
    size_t width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79;
    /* Columns are counted as characters: bytes that do not continue a UTF-8 sequence. */
    size_t length = 0;
    for (size_t columns = 0; text[length]; length++) {
        if (((unsigned char)text[length] & 0xc0) != 0x80 && columns++ == width)
            break;
    }
    char *line = NULL;
    int n = asprintf(&line, "\r\x1b[K%.*s", (int)length, text);
    if (n < 0)
        abort();
    fl__mutex_lock(&lock);
    put(line, (size_t)n);
    atomic_store_explicit(&fl__terminal_has_status, true, memory_order_relaxed); /* see fl__terminal_clear */
    fl__mutex_unlock(&lock);
    free(line);
}

void fl__terminal_erase(int fd)
{
    if (!isatty(fd))
        return;
    fl__mutex_lock(&lock);
    if (atomic_exchange_explicit(&fl__terminal_has_status, false, memory_order_relaxed)) /* under the lock */
        put("\r\x1b[K", 4);
    fl__mutex_unlock(&lock);
}

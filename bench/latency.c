/* Latency over sockets, start, and idleness.
 *
 *   sender thread --socket--> job (a process): source, parse, key_by, sum, sink --socket--> receiver (this thread)
 *
 * Event i is a line with key i mod 1000. The job answers "(key,n)": the n-th event of that key was event
 * (n-1) * 1000 + key, and sent[] knows when it was written. Latency is from just before that write to just after the
 * read that brought the answer: two trips through loopback sockets are in it; the bare loop shows what they cost. */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 1000, CONNECT_TIMEOUT_MS = 10000, WARM_UP_MS = 500 };

/* ---- sockets ---- */

static int listen_anywhere(int *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4) ||
        getsockname(fd, (struct sockaddr *)&address, &size)) {
        perror("bench: cannot listen on the loopback interface");
        exit(1);
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static int accept_soon(int listener)
{
    struct pollfd p = { .fd = listener, .events = POLLIN };
    if (poll(&p, 1, CONNECT_TIMEOUT_MS) != 1)
        return -1;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static int connect_to(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    };
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) {
        perror("bench: connect");
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- sender ---- */

typedef struct sender {
    int fd;
    double rate;
    uint64_t events;
    _Atomic int64_t *sent; /* ns, by event */
    double seconds;        /* it took */
} sender;

static void *send_events(void *arg)
{
    enum { BURST = 64 };
    sender *s = arg;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* 50 µs by default: more than what is measured */
    int64_t start = now_ns();
    char text[BURST * 8];
    for (uint64_t next = 0; next < s->events;) {
        int64_t due = start + (int64_t)((double)next * 1e9 / s->rate), now = now_ns();
        if (due > now) {
            struct timespec until = { due / 1000000000, due % 1000000000 };
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
            now = now_ns();
        }
        size_t size = 0;
        for (int n = 0;
             n < BURST && next < s->events && (n == 0 || start + (int64_t)((double)next * 1e9 / s->rate) <= now);
             n++, next++) {
            atomic_store_explicit(&s->sent[next], now, memory_order_relaxed);
            size += (size_t)snprintf(text + size, sizeof text - size, "%d\n", (int)(next % KEYS));
        }
        if (!write_all(s->fd, text, size))
            break;
    }
    s->seconds = (double)(now_ns() - start) * 1e-9;
    shutdown(s->fd, SHUT_WR);
    return NULL;
}

/* ---- receiver ---- */

typedef struct receiver {
    const sender *from;
    double *ms; /* by order of arrival */
    uint64_t count, received;
    uint64_t warm_up; /* events left out at the start */
} receiver;

/* One answer "(key,n)". False when it is not one. */
static bool take_answer(receiver *r, const char *line, int64_t now)
{
    uint64_t key, n;
    if (sscanf(line, "(%lu,%lu)", &key, &n) != 2 || n == 0 || key >= KEYS || (n - 1) * KEYS + key >= r->from->events)
        return false;
    uint64_t event = (n - 1) * KEYS + key;
    r->received++;
    if (event >= r->warm_up)
        r->ms[r->count++] = (double)(now - atomic_load_explicit(&r->from->sent[event], memory_order_relaxed)) * 1e-6;
    return true;
}

static bool receive_answers(receiver *r, int fd)
{
    char buffer[65536 + 1];
    size_t kept = 0;
    for (;;) {
        ssize_t n = recv(fd, buffer + kept, sizeof buffer - 1 - kept, 0);
        int64_t now = now_ns();
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 && kept == 0;
        buffer[kept + (size_t)n] = 0;
        char *line = buffer;
        for (char *end; (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            if (!take_answer(r, line, now)) {
                fprintf(stderr, "bench: an answer that should not come: %s\n", line);
                return false;
            }
        }
        kept = strlen(line);
        memmove(buffer, line, kept);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const receiver *r, double q)
{
    return r->count ? r->ms[(uint64_t)((double)(r->count - 1) * q)] : 0;
}

bool latency_measure(bool is_bare, double rate, double seconds, latency *result)
{
    int source_port, sink_port;
    int source_listener = listen_anywhere(&source_port), sink_listener = listen_anywhere(&sink_port);
    char source_text[16], sink_text[16];
    snprintf(source_text, sizeof source_text, "%d", source_port);
    snprintf(sink_text, sizeof sink_text, "%d", sink_port);
    FILE *out;
    int pid =
        child_start((const char *[]){ is_bare ? "--bare-latency" : "--latency", source_text, sink_text, NULL }, &out);
    sender s = { .rate = rate, .events = (uint64_t)(rate * seconds) };
    receiver r = { .from = &s, .warm_up = (uint64_t)(rate * WARM_UP_MS / 1000) };
    s.sent = calloc(s.events, sizeof *s.sent);
    r.ms = calloc(s.events, sizeof *r.ms);
    s.fd = accept_soon(source_listener);
    int sink = accept_soon(sink_listener);
    bool ok = s.fd >= 0 && sink >= 0 && s.sent && r.ms;
    if (ok) {
        pthread_t thread;
        pthread_create(&thread, NULL, send_events, &s);
        ok = receive_answers(&r, sink);
        pthread_join(thread, NULL);
        if (r.received != s.events) {
            fprintf(stderr, "bench: %lu events were sent, %lu came back\n", s.events, r.received);
            ok = false;
        }
    } else {
        fprintf(stderr, "bench: the job did not connect\n");
        kill(pid, SIGKILL);
    }
    double cpu = 0;
    close(s.fd);
    close(sink);
    close(source_listener);
    close(sink_listener);
    ok = child_wait(pid, out, &cpu) && ok;
    qsort(r.ms, r.count, sizeof *r.ms, compare);
    *result = (latency){ quantile(&r, 0.5), quantile(&r, 0.99), quantile(&r, 0.999), quantile(&r, 1),
        s.seconds > 0 ? cpu / s.seconds : 0, r.count, s.seconds > 0 ? (double)s.events / s.seconds : 0 };
    free(s.sent);
    free(r.ms);
    return ok;
}

int bare_latency(int source_port, int sink_port)
{
    static int64_t counts[KEYS];
    static char in[65536], out[4 * sizeof in];
    int source = connect_to(source_port), sink = connect_to(sink_port);
    int64_t key = 0;
    for (;;) {
        ssize_t n = recv(source, in, sizeof in, 0);
        if (n <= 0)
            return n < 0;
        size_t size = 0;
        for (ssize_t i = 0; i < n; i++) {
            if (in[i] != '\n') {
                key = key * 10 + (in[i] - '0');
                continue;
            }
            size += (size_t)snprintf(out + size, sizeof out - size, "(%ld,%ld)\n", key, ++counts[key % KEYS]);
            key = 0;
        }
        if (!write_all(sink, out, size))
            return 1;
    }
}

/* ---- start and idleness ---- */

bool first_record_measure(bool is_bare, double *ms, double *total_ms)
{
    FILE *out;
    double start = wall_now(), at = 0;
    int pid = child_start((const char *[]){ is_bare ? "--bare-first" : "--first", NULL }, &out);
    char line[256];
    while (fgets(line, sizeof line, out))
        if (sscanf(line, "first %lf", &at) == 1)
            break;
    while (fgets(line, sizeof line, out))
        ;
    bool ok = child_wait(pid, out, NULL) && at > 0;
    *total_ms = (wall_now() - start) * 1e3;
    *ms = (at - start) * 1e3;
    return ok;
}

bool idle_measure(double seconds, double *percent)
{
    int port;
    int listener = listen_anywhere(&port);
    char text[16];
    snprintf(text, sizeof text, "%d", port);
    FILE *out;
    int pid = child_start((const char *[]){ "--idle", text, NULL }, &out);
    int fd = accept_soon(listener);
    clockid_t clock;
    struct timespec a, b, warm_up = { 0, WARM_UP_MS * 1000000L },
                          wait = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    bool ok = fd >= 0 && clock_getcpuclockid(pid, &clock) == 0;
    if (ok) {
        nanosleep(&warm_up, NULL);
        clock_gettime(clock, &a);
        nanosleep(&wait, NULL);
        clock_gettime(clock, &b);
        *percent = ((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9) / seconds * 100;
    } else {
        fprintf(stderr, "bench: the job did not connect\n");
        kill(pid, SIGKILL);
    }
    close(fd); /* the end of its input: it ends by itself */
    close(listener);
    return child_wait(pid, out, NULL) && ok;
}

/* Records every edge of the pins that RPi.GPIO drives, and how long it sleeps between them.

   Loaded before RPi.GPIO (LD_PRELOAD), it intercepts the library's own `output_gpio` and
   `setup_gpio`, and `nanosleep`, and then calls them, so that the registers are written as usual. */

#include "edges.h"

#include <errno.h>
#include <stdbool.h>

enum { DIRECTION_INPUT = 1 }; /* RPi.GPIO, c_gpio.h */

static __thread int64_t asked_ns; /* since the edge before, by this thread */

/* Returns the function of that name in the calling library. */
static void *function_of_caller(const char *name, void *caller)
{
    Dl_info library;
    void *handle = NULL;
    if (dladdr(caller, &library))
        handle = dlopen(library.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    void *found = handle ? dlsym(handle, name) : NULL;
    if (!found)
        abort();
    return found;
}

int nanosleep(const struct timespec *asked, struct timespec *remaining)
{
    static __thread bool interrupted; /* what remains is asked for again */
    if (!interrupted)
        asked_ns = to_ns(asked);
    int failure = clock_nanosleep(CLOCK_REALTIME, 0, asked, remaining); /* as the C library does */
    interrupted = failure != 0;
    return failure ? (errno = failure, -1) : 0;
}

void output_gpio(int pin, int value)
{
    static void (*real)(int, int);
    if (!real)
        real = function_of_caller("output_gpio", __builtin_return_address(0));
    int64_t before_ns = now_ns();
    real(pin, value);
    record(before_ns, pin, value ? HIGH : LOW, asked_ns);
    asked_ns = 0;
}

void setup_gpio(int pin, int direction, int pull)
{
    static void (*real)(int, int, int);
    if (!real)
        real = function_of_caller("setup_gpio", __builtin_return_address(0));
    int64_t before_ns = now_ns();
    real(pin, direction, pull);
    if (direction == DIRECTION_INPUT)
        record(before_ns, pin, INPUT, 0);
}

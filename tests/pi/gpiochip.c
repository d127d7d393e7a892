/* Plays the kernel's /dev/gpiochip0 of a Pi, over an ordinary file in the same place, and records
   every edge of its pins.

   Loaded before lgpio (LD_PRELOAD), it intercepts ioctl(2), answers those of GPIO chips, and refuses
   what the kernel refuses. The file has a byte for each pin. A process that has requested a pin
   holds a lock on that byte, so that it loses the pin when it closes it or is killed; the byte
   keeps level and direction, as the hardware does.

   It also intercepts lgpio's sleeps, which end at a point in time: two of them tell how long lgpio
   meant to leave a pin as it was.

   Source: Linux 6.12, drivers/gpio/gpiolib-cdev.c: lineinfo_get_v2, linereq_create,
   linereq_get_values, linereq_set_values, linereq_release. */

#include "edges.h"

#include <errno.h>
#include <linux/gpio.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

enum { PINS = 54, DESCRIPTORS = 1024, IS_HIGH = 1, IS_OUTPUT = 2 };

static unsigned char pin_after[DESCRIPTORS]; /* of a descriptor: its pin + 1; 0: no pin */
static volatile unsigned char *states;       /* of the pins */
static int64_t due_at_ns[PINS];              /* when the timer wanted the last edge; 0: no timer */
static __thread int64_t due_ns;              /* when this thread wanted to wake up */

static int refuse(int number)
{
    errno = number;
    return -1;
}

static int not_played(const char *what)
{
    fprintf(stderr, "gpiochip.c: %s is not played\n", what);
    abort();
}

/* Maps the chip's file: a call of the system for each edge would delay the first after a sleep. */
static void map_states(int chip)
{
    if (states)
        return;
    void *mapped = mmap(NULL, PINS, PROT_READ | PROT_WRITE, MAP_SHARED, chip, 0);
    if (mapped == MAP_FAILED || lseek(chip, 0, SEEK_END) != PINS)
        not_played("a chip of that size");
    states = mapped;
}

static void set_state(int pin, int state)
{
    int64_t before_ns = now_ns(), asked_ns = 0;
    states[pin] = state;
    if (due_ns && due_at_ns[pin])
        asked_ns = due_ns - due_at_ns[pin];
    due_at_ns[pin] = due_ns;
    record(before_ns, pin, !(state & IS_OUTPUT) ? INPUT : state & IS_HIGH ? HIGH : LOW, asked_ns);
}

static struct flock lock_of(int pin)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = pin, .l_len = 1};
}

static int describe_chip(struct gpiochip_info *info)
{
    *info = (struct gpiochip_info){.name = "gpiochip0", .label = "pinctrl-rp1", .lines = PINS};
    return 0;
}

static int describe_pin(int chip, struct gpio_v2_line_info *info)
{
    if (info->offset >= PINS)
        return refuse(EINVAL);
    int pin = info->offset, is_output = states[pin] & IS_OUTPUT;
    struct flock lock = lock_of(pin);
    if (fcntl(chip, F_OFD_GETLK, &lock))
        abort();
    *info = (struct gpio_v2_line_info){.offset = pin};
    info->flags = is_output ? GPIO_V2_LINE_FLAG_OUTPUT : GPIO_V2_LINE_FLAG_INPUT;
    if (lock.l_type != F_UNLCK)
        info->flags |= GPIO_V2_LINE_FLAG_USED;
    return 0;
}

static int level_asked(const struct gpio_v2_line_config *config)
{
    for (unsigned i = 0; i < config->num_attrs; i++)
        if (config->attrs[i].attr.id == GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES && config->attrs[i].mask & 1)
            return config->attrs[i].attr.values & 1;
    return 0;
}

static int request_pin(int chip, struct gpio_v2_line_request *request)
{
    const __u64 directions = GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_OUTPUT;
    __u64 direction = request->config.flags & directions;
    int pin = request->offsets[0];
    if (request->num_lines == 0 || request->num_lines > GPIO_V2_LINES_MAX || direction == directions)
        return refuse(EINVAL);
    if (request->num_lines > 1 || !direction)
        not_played("a request of several pins, or of none of the directions,");
    if (request->offsets[0] >= PINS)
        return refuse(EINVAL);
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", chip);
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return -1;
    struct flock lock = lock_of(pin);
    if (file >= DESCRIPTORS || fcntl(file, F_OFD_SETLK, &lock)) {
        close(file);
        return refuse(EBUSY);
    }
    pin_after[file] = pin + 1;
    due_ns = 0;
    if (direction == GPIO_V2_LINE_FLAG_OUTPUT)
        set_state(pin, IS_OUTPUT | level_asked(&request->config));
    else
        set_state(pin, states[pin] & IS_HIGH);
    request->fd = file;
    return 0;
}

static int get_level(int pin, struct gpio_v2_line_values *values)
{
    if (!(values->mask & 1))
        return refuse(EINVAL);
    values->bits = states[pin] & IS_HIGH;
    return 0;
}

static int set_level(int pin, const struct gpio_v2_line_values *values)
{
    if (!(values->mask & 1))
        return refuse(EINVAL);
    if (!(states[pin] & IS_OUTPUT))
        return refuse(EPERM);
    set_state(pin, IS_OUTPUT | (values->bits & 1));
    return 0;
}

int ioctl(int file, unsigned long request, ...)
{
    static int (*real)(int, unsigned long, void *);
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (!real)
        real = dlsym(RTLD_NEXT, "ioctl");
    if (_IOC_TYPE(request) != _IOC_TYPE(GPIO_GET_CHIPINFO_IOCTL))
        return real(file, request, argument);
    int pin = file >= 0 && file < DESCRIPTORS ? pin_after[file] - 1 : -1;
    if (pin < 0) {
        map_states(file);
        switch (request) {
        case GPIO_GET_CHIPINFO_IOCTL:
            return describe_chip(argument);
        case GPIO_V2_GET_LINEINFO_IOCTL:
            return describe_pin(file, argument);
        case GPIO_V2_GET_LINE_IOCTL:
            return request_pin(file, argument);
        }
    } else
        switch (request) {
        case GPIO_V2_LINE_GET_VALUES_IOCTL:
            return get_level(pin, argument);
        case GPIO_V2_LINE_SET_VALUES_IOCTL:
            return set_level(pin, argument);
        }
    return not_played("this ioctl");
}

int close(int file)
{
    static int (*real)(int);
    if (!real)
        real = dlsym(RTLD_NEXT, "close");
    if (file >= 0 && file < DESCRIPTORS && pin_after[file]) {
        int pin = pin_after[file] - 1, state = states[pin];
        pin_after[file] = due_ns = 0;
        if (state & IS_OUTPUT)
            set_state(pin, state & IS_HIGH);
    }
    return real(file);
}

static int is_lgpio(void *caller)
{
    static void *known;
    Dl_info library;
    if (caller == known)
        return 1;
    if (!dladdr(caller, &library) || !strstr(library.dli_fname, "lgpio"))
        return 0;
    known = caller;
    return 1;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *asked, struct timespec *left)
{
    static int (*real)(clockid_t, int, const struct timespec *, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_nanosleep");
    int failure = real(clock, flags, asked, left);
    if (!failure)
        due_ns = flags == TIMER_ABSTIME && is_lgpio(__builtin_return_address(0)) ? to_ns(asked) : 0;
    return failure;
}

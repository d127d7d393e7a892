/* Plays the kernel's answers about an input device, whose node is a FIFO.

   Intercepts ioctl(2) on a FIFO named eventN that has a file .eventN beside it, with the answers;
   everything else goes to the kernel. Loaded before a program (LD_PRELOAD) it answers that program;
   with -DIOCTL=__wrap_ioctl -DREAD=__wrap_read it is linked into a library (ld --wrap), and answers
   that library alone. Of `gone` devices both calls fail, with events left in the queue too.

   Source: Linux 6.12, drivers/input/evdev.c: evdev_do_ioctl, evdev_handle_get_val, evdev_read. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/input.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IOCTL
#define IOCTL ioctl
#define READ read
#endif

enum { EV_BYTES = (EV_CNT + 7) / 8, KEY_BYTES = (KEY_CNT + 7) / 8, ABS_BYTES = (ABS_CNT + 7) / 8 };

struct answers { /* as in tests/pi/pad.py */
    uint32_t gone;
    struct input_id id;
    char name[256];
    uint8_t types[EV_BYTES], keys[KEY_BYTES], axes[ABS_BYTES], down[KEY_BYTES];
    struct input_absinfo axis[ABS_CNT];
};

static int read_answers(int file, struct answers *answers)
{
    char link[64], path[PATH_MAX], beside[PATH_MAX + 2];
    struct stat status;
    if (fstat(file, &status) || !S_ISFIFO(status.st_mode))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    char *name = strrchr(path, '/');
    if (!name || strncmp(name + 1, "event", 5))
        return 0;
    snprintf(beside, sizeof beside, "%.*s/.%s", (int)(name - path), path, name + 1);
    int held = open(beside, O_RDONLY | O_CLOEXEC);
    if (held < 0)
        return 0;
    ssize_t size = syscall(SYS_read, held, answers, sizeof *answers);
    close(held);
    return size == sizeof *answers;
}

static int give(void *room, size_t size, const void *bytes, size_t most)
{
    size_t given = size < most ? size : most;
    memcpy(room, bytes, given);
    return given;
}

static int answer(const struct answers *about, unsigned int request, void *room)
{
    static const uint8_t nothing[KEY_BYTES];
    size_t size = _IOC_SIZE(request);
    unsigned int number = _IOC_NR(request);
    if (_IOC_TYPE(request) != 'E' || _IOC_DIR(request) != _IOC_READ)
        return -EINVAL;
    if (request == EVIOCGVERSION)
        return give(room, size, &(int){EV_VERSION}, sizeof(int)), 0;
    if (request == EVIOCGID)
        return give(room, size, &about->id, sizeof about->id), 0;
    if (request == EVIOCGEFFECTS)
        return give(room, size, &(int){0}, sizeof(int)), 0;
    if (number == _IOC_NR(EVIOCGNAME(0)))
        return give(room, size, about->name, strlen(about->name) + 1);
    if (number == _IOC_NR(EVIOCGPHYS(0)) || number == _IOC_NR(EVIOCGUNIQ(0)))
        return -ENOENT;
    if (number == _IOC_NR(EVIOCGKEY(0)))
        return give(room, size, about->down, sizeof about->down);
    if (number == _IOC_NR(EVIOCGBIT(0, 0)))
        return give(room, size, about->types, sizeof about->types);
    if (number == _IOC_NR(EVIOCGBIT(EV_KEY, 0)))
        return give(room, size, about->keys, sizeof about->keys);
    if (number == _IOC_NR(EVIOCGBIT(EV_ABS, 0)))
        return give(room, size, about->axes, sizeof about->axes);
    if (number > _IOC_NR(EVIOCGBIT(0, 0)) && number < _IOC_NR(EVIOCGBIT(EV_CNT, 0)))
        return give(room, size, nothing, sizeof nothing);
    if (number >= _IOC_NR(EVIOCGABS(0)) && number < _IOC_NR(EVIOCGABS(ABS_CNT))) {
        const struct input_absinfo *axis = &about->axis[number - _IOC_NR(EVIOCGABS(0))];
        return axis->minimum == axis->maximum ? -EINVAL : (give(room, size, axis, sizeof *axis), 0);
    }
    return -EINVAL;
}

int IOCTL(int file, unsigned long request, ...)
{
    struct answers about;
    va_list more;
    va_start(more, request);
    void *room = va_arg(more, void *);
    va_end(more);
    if (!read_answers(file, &about))
        return syscall(SYS_ioctl, file, request, room);
    int result = about.gone ? -ENODEV : answer(&about, request, room);
    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}

ssize_t READ(int file, void *room, size_t size)
{
    struct answers about;
    if (read_answers(file, &about) && about.gone) {
        errno = ENODEV;
        return -1;
    }
    return syscall(SYS_read, file, room, size);
}

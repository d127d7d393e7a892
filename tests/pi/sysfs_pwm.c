/* Plays the kernel's files in /sys/class/pwm, over ordinary ones in the same place.

   Loaded before a program (LD_PRELOAD), it intercepts write(2): what is written into a file of a
   channel is refused where the kernel refuses it, else becomes the file's content and a line of the
   file named by $PWM_LOG: time of the monotonic clock in nanoseconds, channel, file, value. The
   files stay as they are when the program is killed, as the hardware does.

   Source: Linux 6.12, drivers/pwm/core.c: __pwm_apply, period_store, duty_cycle_store,
   enable_store, polarity_store, export_store, unexport_store. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char ROOT[] = "/sys/class/pwm/pwmchip";
static const char *ATTRIBUTES[] = {"period", "duty_cycle", "enable", "polarity"};
enum { ATTRIBUTE_COUNT = 4, VALUE_SIZE = 32, PATH_SIZE = PATH_MAX + 2 * VALUE_SIZE };

static ssize_t real_write(int file, const void *bytes, size_t size)
{
    return syscall(SYS_write, file, bytes, size);
}

static void read_file(const char *folder, const char *name, char *value)
{
    char path[PATH_SIZE + VALUE_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? 0 : read(file, value, VALUE_SIZE - 1);
    value[size > 0 ? size : 0] = 0;
    value[strcspn(value, "\n")] = 0;
    if (file >= 0)
        close(file);
}

static void write_file(const char *folder, const char *name, const char *value)
{
    char path[PATH_SIZE + VALUE_SIZE], line[VALUE_SIZE + 1];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        abort();
    real_write(file, line, snprintf(line, sizeof line, "%s\n", value));
    close(file);
}

static void record(const char *channel, const char *name, const char *value)
{
    char line[PATH_SIZE];
    struct timespec now;
    const char *log = getenv("PWM_LOG");
    int file = log ? open(log, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (file < 0)
        abort();
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long now_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
    real_write(file, line, snprintf(line, sizeof line, "%lld %s %s %s\n", now_ns, channel, name, value));
    close(file);
}

static int export_channel(const char *chip, const char *value)
{
    char folder[PATH_SIZE], count[VALUE_SIZE];
    read_file(chip, "npwm", count);
    if (atoi(value) >= atoi(count))
        return ENODEV;
    snprintf(folder, sizeof folder, "%s/pwm%s", chip, value);
    if (mkdir(folder, 0755))
        return EBUSY;
    for (int i = 0; i < ATTRIBUTE_COUNT; i++)
        write_file(folder, ATTRIBUTES[i], strcmp(ATTRIBUTES[i], "polarity") ? "0" : "normal");
    return 0;
}

static int unexport_channel(const char *chip, const char *value)
{
    char folder[PATH_SIZE], file[PATH_SIZE + VALUE_SIZE];
    snprintf(folder, sizeof folder, "%s/pwm%s", chip, value);
    for (int i = 0; i < ATTRIBUTE_COUNT; i++) {
        snprintf(file, sizeof file, "%s/%s", folder, ATTRIBUTES[i]);
        unlink(file);
    }
    return rmdir(folder) ? ENODEV : 0;
}

static int set_attribute(const char *folder, const char *name, const char *value)
{
    char period[VALUE_SIZE], duty[VALUE_SIZE];
    read_file(folder, "period", period);
    read_file(folder, "duty_cycle", duty);
    if (!strcmp(name, "period"))
        strcpy(period, value);
    else if (!strcmp(name, "duty_cycle"))
        strcpy(duty, value);
    else if (!strcmp(name, "enable") && strcmp(value, "0") && strcmp(value, "1"))
        return EINVAL;
    if (atoll(period) == 0 || atoll(duty) > atoll(period))
        return EINVAL;
    write_file(folder, name, value);
    return 0;
}

ssize_t write(int file, const void *bytes, size_t size)
{
    char link[64], path[PATH_MAX], value[VALUE_SIZE];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || size >= sizeof value || strncmp(path, ROOT, strlen(ROOT)))
        return real_write(file, bytes, size);
    path[length] = 0;
    memcpy(value, bytes, size);
    value[size] = 0;
    value[strcspn(value, "\n")] = 0;
    char *name = strrchr(path, '/'), *folder = path;
    *name++ = 0;
    const char *channel = strrchr(folder, '/') + 1;
    int failure;
    if (!strcmp(name, "export"))
        failure = export_channel(folder, value);
    else if (!strcmp(name, "unexport"))
        failure = unexport_channel(folder, value);
    else
        failure = set_attribute(folder, name, value);
    if (failure) {
        errno = failure;
        return -1;
    }
    record(channel, name, value);
    return size;
}

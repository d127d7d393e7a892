// A Pi's pins and hardware PWM without hardware: 54 GPIO lines, and the PWM chip of a Pi 5. They keep
// what is written; the kernel's tracepoints gpio:* and pwm:* report it.
#include <linux/bitmap.h>
#include <linux/gpio/driver.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/pwm.h>

#define LINES 54
#define PWM_CHANNELS 4

static DECLARE_BITMAP(levels, LINES);
static DECLARE_BITMAP(outputs, LINES);

static int get_direction(struct gpio_chip *chip, unsigned int line)
{
	return test_bit(line, outputs) ? GPIO_LINE_DIRECTION_OUT : GPIO_LINE_DIRECTION_IN;
}

static int direction_input(struct gpio_chip *chip, unsigned int line)
{
	clear_bit(line, outputs);
	return 0;
}

static int direction_output(struct gpio_chip *chip, unsigned int line, int value)
{
	__assign_bit(line, levels, value);
	set_bit(line, outputs);
	return 0;
}

static int get(struct gpio_chip *chip, unsigned int line)
{
	return test_bit(line, levels);
}

static void set(struct gpio_chip *chip, unsigned int line, int value)
{
	__assign_bit(line, levels, value);
}

static struct gpio_chip pins = {
	.label = "pinctrl-bcm2711",
	.owner = THIS_MODULE,
	.base = -1,
	.ngpio = LINES,
	.get_direction = get_direction,
	.direction_input = direction_input,
	.direction_output = direction_output,
	.get = get,
	.set = set,
};

static int apply(struct pwm_chip *chip, struct pwm_device *channel, const struct pwm_state *state)
{
	return 0;
}

static const struct pwm_ops pwm_ops = { .apply = apply };
static struct pwm_chip *pwm;
static struct platform_device *pins_device, *pwm_device;

static int __init add_pins(void)
{
	pins_device = platform_device_register_simple("1f000d0000.gpio", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pins_device))
		return PTR_ERR(pins_device);
	pins.parent = &pins_device->dev;
	return gpiochip_add_data(&pins, NULL);
}

static int __init add_pwm(void)
{
	pwm_device = platform_device_register_simple("1f00098000.pwm", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pwm_device))
		return PTR_ERR(pwm_device);
	pwm = pwmchip_alloc(&pwm_device->dev, PWM_CHANNELS, 0);
	if (IS_ERR(pwm))
		return PTR_ERR(pwm);
	pwm->ops = &pwm_ops;
	return pwmchip_add(pwm);
}

// Never unloaded: the machine is thrown away.
static int __init start(void)
{
	return add_pins() ?: add_pwm();
}

module_init(start);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("The pins and the PWM of a Raspberry Pi, in memory");

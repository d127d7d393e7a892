"""What the machine is: model, system, libraries, and the settings that drives depend on."""

import grp
import importlib
import importlib.metadata
import os
import platform
import subprocess
import warnings
from pathlib import Path
from typing import Any

from tests.on_pi.outcomes import Missing

_MODEL = Path("/proc/device-tree/model")
_CONFIG = Path("/boot/firmware/config.txt")
_CONFIG_LINES = ("dtoverlay", "dtparam", "kernel_watchdog", "[")
_GROUPS = ("input", "video", "gpio", "i2c")
# module: what it is for, and what installs it
_LIBRARIES = {
    "numpy": "pip install -r requirements-pi.txt",
    "cv2": "pip install -r requirements-pi.txt",
    "msgspec": "pip install -r requirements-pi.txt",
    "inputs": "pip install -r requirements-pi.txt",
    "smbus2": "pip install -r requirements-pi.txt",
    "picamera2": "sudo apt install python3-picamera2 --no-install-recommends",
    "RPi.GPIO": "sudo apt install python3-rpi-lgpio",
    "lgpio": "sudo apt install python3-lgpio",
    "evdev": "sudo apt install python3-evdev",
}
_PACKAGES = ("python3-picamera2", "python3-rpi-lgpio", "python3-rpi.gpio", "python3-evdev")


def model() -> str:
    """Return the model of the Pi; "" on other machines."""
    try:
        text = _MODEL.read_text().strip("\0\n ")
    except OSError:
        return ""
    return text if text.startswith("Raspberry Pi") else ""


def describe_machine() -> dict[str, Any]:
    """Return model, system and kernel. Raises Missing where this is no Pi."""
    facts = {
        "model": model() or "no Raspberry Pi",
        "system": _os_release(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "load": os.getloadavg(),
        "throttled": ask("vcgencmd", "get_throttled"),
        "temperature": ask("vcgencmd", "measure_temp"),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "root": ask("findmnt", "-no", "SOURCE,FSTYPE,OPTIONS", "/"),
    }
    if not model():
        raise Missing("this is no Raspberry Pi: run it on one", facts)
    return facts


def describe_libraries() -> dict[str, Any]:
    """Return the version of each library. Raises Missing if one cannot be imported."""
    versions: dict[str, Any] = {}
    remedies = []
    for name, remedy in _LIBRARIES.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  some fail in many ways where this is no Pi
            versions[name] = f"{type(error).__name__}: {error}"
            remedies.append(f"{name}: {remedy}")
        else:
            versions[name] = str(getattr(module, "__version__", "") or _distribution(name) or "?")
    facts = {"modules": versions, "packages": {name: _package(name) for name in _PACKAGES}}
    facts["numpy of the system"] = _package("python3-numpy")
    if remedies:
        raise Missing("; ".join(remedies), facts)
    return facts


def describe_settings() -> dict[str, Any]:
    """Return groups, lines of config.txt, watchdog, pins and PWM chips. Raises Missing."""
    groups = {grp.getgrgid(number).gr_name for number in os.getgroups()}
    chips = sorted(Path("/sys/class/pwm").glob("pwmchip*"))
    facts = {
        "groups": {name: name in groups for name in _GROUPS},
        "config": _config_lines(),
        "watchdog": ask("systemctl", "show", "--property=RuntimeWatchdogUSec", "--value"),
        "pins": ask("pinctrl", "get", "18,13").splitlines(),
        "pwm": {chip.name: (chip / "device").resolve().name for chip in chips},
        "gpio": [chip.name for chip in sorted(Path("/dev").glob("gpiochip*"))],
        "i2c": [bus.name for bus in sorted(Path("/dev").glob("i2c-*"))],
        "cameras": ask("rpicam-hello", "--list-cameras").splitlines(),
    }
    if lacking := [name for name in _GROUPS[:3] if name not in groups]:
        raise Missing(
            f"the user is not in {', '.join(lacking)}: sudo usermod -aG {','.join(lacking)} $USER",
            facts,
        )
    return facts


def ask(program: str, *arguments: str) -> str:
    """Return the output of a program of the system; "" where it is missing or fails."""
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def read(file: str) -> str:
    """Return the content of a file; "" where it cannot be read."""
    try:
        return Path(file).read_text().strip()
    except OSError:
        return ""


def _os_release() -> str:
    lines = read("/etc/os-release").splitlines()
    return next((line[12:].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), "")


def _config_lines() -> list[str]:
    lines = map(str.strip, read(str(_CONFIG)).splitlines())
    return [line for line in lines if line.startswith(_CONFIG_LINES)]


def _distribution(module: str) -> str:
    names = importlib.metadata.packages_distributions().get(module.partition(".")[0], [])
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def _package(name: str) -> str:
    return ask("dpkg-query", "--show", "--showformat=${Version}", name)

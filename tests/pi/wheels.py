"""Published wheels of packages that only a Pi can import; tests read them without importing."""

from pathlib import Path

from tests.servers import fetching

PICAMERA2 = "0.3.38"


def picamera2() -> Path:
    """Return the wheel of picamera2, fetching it if it is not in the cache.

    Raises:
        Missing: it cannot be fetched.
    """
    name = f"picamera2-{PICAMERA2}"
    [wheel] = fetching.cached(name, _fetch_picamera2).glob("*.whl")
    return wheel


def _fetch_picamera2(folder: Path) -> None:
    fetching.say(f"fetching picamera2 {PICAMERA2} (0.1 MB, first run only)")
    fetching.run_pip(
        "download",
        *("--only-binary", ":all:", "--dest", str(folder), f"picamera2=={PICAMERA2}"),
    )

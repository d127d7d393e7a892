"""Cameras by the driver that `hardware_conf.json` names."""

from car.camera.pi_camera import PiCamera
from car.camera.webcam import Webcam
from car.hardware_conf import Picamera2Conf, V4l2Conf
from car.interfaces import Camera


def open_camera(
    conf: Picamera2Conf | V4l2Conf, *, width_px: int, height_px: int, rate_hz: float
) -> Camera:
    """Open the camera, whose pictures arrive from now on.

    Raises:
        CameraFailed: names what to install, to plug in or to request; the camera is closed.
    """
    match conf:
        case Picamera2Conf():
            return PiCamera(conf, width_px=width_px, height_px=height_px, rate_hz=rate_hz)
        case V4l2Conf():
            return Webcam(conf, width_px=width_px, height_px=height_px, rate_hz=rate_hz)

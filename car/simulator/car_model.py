"""The motion of the simulated car."""

from math import cos, exp, radians, sin, tan

from car.simulator.track import Pose

STEP_S = 0.005
WHEELBASE_M = 0.26
MAX_STEERING_RAD = radians(25)

_SERVO_LAG_S = 0.06
_MOTOR_LAG_S = 0.35
# The share of the way to its target that a first-order lag covers in a step.
_SERVO_RESPONSE, _MOTOR_RESPONSE = (1 - exp(-STEP_S / lag) for lag in (_SERVO_LAG_S, _MOTOR_LAG_S))
_TOP_SPEED_M_S = 2.8


class CarModel:
    """A kinematic bicycle model with first-order lags of servo and motor."""

    def __init__(self, pose: Pose) -> None:
        self.pose = pose
        self.speed_m_s = 0.0
        self._steering = 0.0

    def step(self, steering: float, throttle: float) -> None:
        """Advance by `STEP_S`."""
        self._steering += (steering - self._steering) * _SERVO_RESPONSE
        self.speed_m_s += (throttle * _TOP_SPEED_M_S - self.speed_m_s) * _MOTOR_RESPONSE
        distance_m = self.speed_m_s * STEP_S
        turn_rad = -distance_m * tan(self._steering * MAX_STEERING_RAD) / WHEELBASE_M
        middle_rad = self.pose.heading_rad + turn_rad / 2
        self.pose = Pose(
            self.pose.x_m + distance_m * cos(middle_rad),
            self.pose.y_m + distance_m * sin(middle_rad),
            self.pose.heading_rad + turn_rad,
        )

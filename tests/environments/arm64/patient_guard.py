"""The guard without its limit of time: where instructions are counted, all takes long."""

from car import interfaces

PATIENCE_S = 3600.0

interfaces.COMMAND_TIMEOUT_S = PATIENCE_S  # before the guard's modules take it over

if __name__ == "__main__":
    from car.motors import guard

    raise SystemExit(guard.main())

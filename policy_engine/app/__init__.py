"""Settings, the one builder of real parts, the sealing process and the application log."""

"""A small world of attributes behind the engine's own door for the Authorization API: rows in CSV, judged by pycasbin.

It serves the public interoperability worlds (todo, gateway, search) and that of the certification scenario, and shows
what a world needs. `python -m examples.authzen_world` serves it; nothing of it is recorded.
"""

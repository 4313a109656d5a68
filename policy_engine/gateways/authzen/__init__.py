"""The Authorization API 1.0 of OpenID AuthZEN: a door over any world that can be asked."""

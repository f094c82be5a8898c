"""Mail protocols as machines: bytes in, events out; answers in, bytes out.  Pure."""

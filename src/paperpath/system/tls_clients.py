"""Asking clients for a certificate and taking whichever they show, as long as they prove that the key is theirs.

Who may relay is told by a certificate's fingerprint, so nobody has to vouch for it, and a client that shows another
one is a stranger like all others: mail servers show theirs to everybody who asks.  Python's ``ssl`` cannot say this; it
either does not ask, or breaks off where no authority vouches.  OpenSSL can, so it is told behind Python's back: the
context's judge becomes a function of OpenSSL's own that says 1, "fine", always.  That a client holds the key is no
matter of this judge, and stays proven by the handshake.
"""

import _ssl
import ctypes
import ssl

_NO = "this Python cannot ask clients for certificates (its OpenSSL is out of reach): leave relay_fingerprints empty"


def take_any_certificate(context: ssl.SSLContext) -> None:
    """Have the context ask for certificates and take any.  Raises ValueError where that cannot be done here."""
    try:
        library = ctypes.CDLL(_ssl.__file__)
        set_judge, always = library.SSL_CTX_set_cert_verify_callback, library.ERR_load_ERR_strings
        get_options = library.SSL_CTX_get_options
    except (OSError, AttributeError):
        raise ValueError(_NO) from None
    get_options.restype, get_options.argtypes = ctypes.c_uint64, [ctypes.c_void_p]
    set_judge.restype, set_judge.argtypes = None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    # The first thing in a context's object, behind what every object has, is OpenSSL's own context.
    inner = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    if inner is None or get_options(inner) != context.options or always() != 1:
        raise ValueError(_NO)
    set_judge(inner, ctypes.cast(always, ctypes.c_void_p), None)
    context.verify_mode = ssl.CERT_OPTIONAL

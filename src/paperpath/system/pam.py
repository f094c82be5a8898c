"""PAM, by way of the C library: is this the password of that system account, and may it log in?

Blocks for as long as the modules do, and whatever they break is broken here: for a process of its own.
"""

import ctypes
import ctypes.util
from typing import Final

_SUCCESS: Final = 0
_CONV_ERR: Final = 19
_PROMPT_ECHO_OFF: Final = 1
_PROMPT_ECHO_ON: Final = 2
_ITEM_USER, _ITEM_RHOST = 2, 4
_SILENT, _NO_EMPTY_PASSWORD = 0x8000, 0x1
_MESSAGES_MOST = 32

# From _pam_types.h: what says something about the user, and not about the host.
_NO: Final = {
    6: "permission denied",
    7: "wrong password",
    10: "unknown user",
    11: "too many tries",
    12: "the password has expired",
    13: "the account has expired",
    27: "the password has expired",
}


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_TALK = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = (("talk", _TALK), ("data", ctypes.c_void_p))


class PamError(OSError):
    """PAM could not tell: it is not installed, not configured, or asks somebody who does not answer."""


def check_password(service: str, name: str, password: bytes, peer: str) -> tuple[str | None, str]:
    """Return whom PAM let in (a module may change the name) and nothing, or None and why not.  Raises PamError."""
    library = _load()
    conversation = _Conversation(_talk_with(password), None)
    handle = ctypes.c_void_p()
    code = library.pam_start(service.encode(), name.encode(), ctypes.byref(conversation), ctypes.byref(handle))
    if code != _SUCCESS:
        raise PamError(code, "PAM does not start")
    try:
        if peer:
            library.pam_set_item(handle, _ITEM_RHOST, ctypes.c_char_p(peer.encode()))
        code = library.pam_authenticate(handle, _SILENT | _NO_EMPTY_PASSWORD)
        if code == _SUCCESS:
            code = library.pam_acct_mgmt(handle, _SILENT | _NO_EMPTY_PASSWORD)
        if code == _SUCCESS:
            return _user(library, handle) or name, ""
        if code in _NO:
            return None, _NO[code]
        text = library.pam_strerror(handle, code) or b"unknown error"
        raise PamError(code, text.decode("utf-8", "replace"))
    finally:
        library.pam_end(handle, code)


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libpam.so.0")
    except OSError as error:
        raise PamError(0, str(error)) from None
    library.pam_strerror.restype = ctypes.c_char_p
    library.pam_strerror.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return library


def _user(library: ctypes.CDLL, handle: ctypes.c_void_p) -> str:
    item = ctypes.c_char_p()
    if library.pam_get_item(handle, _ITEM_USER, ctypes.byref(item)) != _SUCCESS or not item.value:
        return ""
    return item.value.decode("utf-8", "replace")


def _talk_with(password: bytes) -> "ctypes._FuncPointer":
    """Answer every hidden question with the password, and no other: whoever is asked for more is not here."""
    libc = ctypes.CDLL(None)
    libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p
    libc.calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]

    def talk(count: int, messages: "ctypes._Pointer[ctypes._Pointer[_Message]]", responses: object, _: object) -> int:
        if not 0 < count <= _MESSAGES_MOST:
            return _CONV_ERR
        styles = [messages[at].contents.style for at in range(count)]
        if _PROMPT_ECHO_ON in styles:
            return _CONV_ERR
        # PAM frees both the array and its texts.
        memory = libc.calloc(count, ctypes.sizeof(_Response))
        answers = ctypes.cast(memory, ctypes.POINTER(_Response))
        for at, style in enumerate(styles):
            if style == _PROMPT_ECHO_OFF:
                answers[at].text = libc.strdup(ctypes.c_char_p(password))
        ctypes.cast(responses, ctypes.POINTER(ctypes.c_void_p))[0] = memory  # type: ignore[arg-type]
        return _SUCCESS

    return _TALK(talk)

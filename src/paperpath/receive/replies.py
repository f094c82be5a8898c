"""What clients are told, each once.  A reason in full is in the log; the client gets one plain sentence."""

from paperpath.base.reply import reply

SENDER_OK = reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = reply(250, "2.1.5", "Recipient OK")
NO_SUCH_RECIPIENT = reply(550, "5.1.1", "No mailbox here by that name")
RELAYING_DENIED = reply(550, "5.7.1", "Mail to that domain is not taken from you")
SENDER_REFUSED = reply(553, "5.7.1", "Mail from that sender is not taken")
RECIPIENT_UNKNOWN_NOW = reply(451, "4.3.0", "The recipient cannot be looked up just now, try again later")
HOLD_BEYOND = reply(501, "5.5.4", "A message is not held until then; see FUTURERELEASE in the reply to EHLO")
LOOPING = reply(554, "5.4.6", "The message went through too many servers, it is looping")
TRY_LATER = reply(451, "4.3.0", "The message could not be stored just now, try again later")
NO_ROOM = reply(452, "4.3.1", "There is no room for the message just now, try again later")
NOT_FOR_STRANGERS = reply(554, "5.7.1", "This service is not for you")
TIMEOUT = reply(421, "4.4.2", "Nothing came for too long, closing")
TOO_MANY_SESSIONS = reply(421, "4.3.2", "Too many sessions, try again later")
TOO_MANY_FROM_ADDRESS = reply(421, "4.7.0", "Too many sessions from your address, try again later")
TOO_MANY_UNKNOWN = reply(421, "4.7.0", "Too many recipients that do not exist, try again later")
STOPPING = reply(421, "4.3.2", "The service is stopping, try again later")
INTERNAL = reply(421, "4.3.0", "Internal error, try again later")

"""The service from its start to its end, as an operator sees it."""

from tests.service import ACCOUNT, running_service


def test_message_goes_from_client_to_mailbox() -> None:
    with running_service() as service:
        service.send("from@there.test", [ACCOUNT], "Subject: hello\n\nworld\n")
        service.wait_for("delivery.delivered", recipient=ACCOUNT)
        (message,) = service.messages(ACCOUNT)
        assert message.read_text().endswith("\nSubject: hello\n\nworld\n")
        service.stop()

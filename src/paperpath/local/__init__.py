"""`local`: finds out who a recipient is, and delivers as that user."""

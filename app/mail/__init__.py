"""E-mails: the outbox and the relay."""

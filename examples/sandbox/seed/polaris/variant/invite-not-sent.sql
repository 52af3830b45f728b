-- The invitation to one teacher never left.
DELETE FROM email_delivery WHERE message_id = '<invite-43-2@polaris.example.org>';

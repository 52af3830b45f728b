-- The invitation to one teacher came back.
UPDATE email_delivery SET status = 'bounced', error = '550 5.1.1 no such user' WHERE message_id = '<invite-43-2@polaris.example.org>';

"""Who may do what: the table of decisions 3, walked message by message and role by role."""

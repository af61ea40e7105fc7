"""What ``ReplyEditor`` and ``EditBudget`` are made of."""
